"""Build the container images as OCI archives in build/images, each only if its content changed.

A program of its own (standard library only), so that it runs before anything is installed. It
chooses a builder (buildah, podman or docker) and a base image: BASE_IMAGE if set, else the public
Python image where its registry can be reached, else a small Debian made here. What an image is
made of is gathered in a folder first; the folder's hash decides whether a build is needed.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for whoever loads this file by its path

import canonical
import folders
import lock
import provenance

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "images"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "factotum-operator"
PACKAGE = ROOT / "operator" / "factotum"

PUBLIC_BASE = "docker.io/library/python:3.11-slim"
PUBLIC_REGISTRY = ("registry-1.docker.io", 443)
CONSUL = "localhost/consul:1.8.7"
LOCAL_BASE = "localhost/factotum-base"

# What the Pod runs is in its image, and nothing that is not named here.
FOR_THE_RUNNER = frozenset(
    {"__init__.py", "entry.py", "py.typed", "cli", "core", "events", "pod", "runner"}
)
SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


class BuildError(Exception):
    """A build that cannot go on; the text says what to do about it."""


class Builder(NamedTuple):
    """The program that makes images here."""

    program: str

    def build(self, context: Path, tag: str, base: str | None, labels: dict[str, str]) -> str:
        """Make the image `tag` from the Dockerfile in `context`; return what to call it by."""
        arguments = ["--build-arg", f"BASE_IMAGE={base}"] if base else []
        for key, value in labels.items():
            arguments += ["--label", f"{key}={value}"]
        if self.program == "docker":
            command = ["docker", "build", "--quiet"]
        else:
            command = [self.program, "build" if self.program == "podman" else "bud", "--quiet"]
            command += ["--format", "oci", "--layers", "--timestamp", str(provenance.EPOCH)]
            for key, value in labels.items():
                arguments += ["--annotation", f"{key}={value}"]
        told = run([*command, *arguments, "--tag", tag, str(context)])
        # By its tag another tree's build could replace it before it is saved.
        return told.split()[-1] if self.program == "buildah" else tag

    def pin(self, base: str) -> str:
        """Pull a base image; name it by what its tag means now, the same for all images."""
        if "@sha256:" in base:
            return base
        with step(f"base: {base}"):
            run([self.program, "pull", "--quiet", base])
        form = {
            "buildah": "{{.FromImageDigest}}",
            "podman": "{{.Digest}}",
            "docker": "{{index .RepoDigests 0}}",
        }[self.program]
        told = self.tell(base, form)
        digest = told.rpartition("@")[2]
        if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise BuildError(f"{self.program} does not tell the digest of {base}, but {told!r}")
        return f"{base}@{digest}"

    def save(self, image: str, tag: str, archive: Path, base: str) -> None:
        """Write an image to an archive that containerd, kind and docker can read, as `tag`."""
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        if self.program == "buildah":
            run(["buildah", "push", "--quiet", image, f"oci-archive:{partial}:{tag}"])
        elif self.program == "podman":
            run(["podman", "save", "--quiet", "--format", "oci-archive", "-o", str(partial), image])
        else:
            run(["docker", "save", "-o", str(partial), image])
        if self.program != "docker":  # which writes a form of its own
            canonical.rewrite(partial, self.count_layers(base))
        partial.rename(archive)

    def count_layers(self, image: str) -> int:
        """Tell how many layers an image has."""
        form = {"buildah": ".OCIv1.RootFS.DiffIDs", "podman": ".RootFS.Layers"}[self.program]
        return int(self.tell(image, f"{{{{len {form}}}}}"))

    def tell(self, image: str, form: str) -> str:
        """Tell something of an image."""
        kind = ["image", "inspect"] if self.program == "docker" else ["inspect", "--type", "image"]
        return run([self.program, *kind, "--format", form, image]).strip()

    def has(self, tag: str) -> bool:
        """Whether the builder's own store holds the image `tag`."""
        kind = [] if self.program == "docker" else ["--type", "image"]
        command = [self.program, *(["image"] if self.program == "docker" else []), "inspect"]
        return answers([*command, *kind, tag])


def main() -> int:
    """Build what the command line asks for; print one line an image."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="runner, operator, consul (default: all)"
    )
    parser.add_argument("--print-tags", action="store_true", help="print names and archives only")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        if options.print_tags:
            for name in options.names or ["runner", "operator", "consul"]:
                print(tag_of(name), archive_of(name).relative_to(ROOT))
            return 0
        build_images(options.names)
    except (BuildError, canonical.NotPlainError, provenance.UntrueError) as error:
        print(f"make images: {error}", file=sys.stderr)
        return 1
    took = time.monotonic() - started
    print(f"images: done in {took:.1f} s, archives in {OUT.relative_to(ROOT)}/")
    return 0


def build_images(names: list[str]) -> None:
    """Build the named images, all if there are none, and their base where it is made here."""
    os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
    os.environ.setdefault("STORAGE_DRIVER", "vfs")
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / ".lock").open("w") as held:  # two builds at once would gather into one folder
        fcntl.flock(held, fcntl.LOCK_EX)
        build_in_turn(names)


def build_in_turn(names: list[str]) -> None:
    """Build while no other run does."""
    os.umask(0o022)  # what is gathered here has the same modes whoever builds
    builder = choose_builder()
    base = choose_base()
    made_here = base == LOCAL_BASE
    base = build_base(builder) if made_here else builder.pin(base)
    print(f"images: {builder.program}, on {base}")
    for name in names or ["runner", "operator", *(["consul"] if made_here else [])]:
        build_image(builder, name, base)


def choose_builder() -> Builder:
    """Take BUILDER, else the first program that is installed and answers."""
    wanted = os.environ.get("BUILDER")
    for program in [wanted] if wanted else ["buildah", "podman", "docker"]:
        # A docker command without its daemon is common and of no use.
        if shutil.which(program) and (program != "docker" or answers([program, "info"])):
            return Builder(program)
    raise BuildError(
        f"{wanted or 'none of buildah, podman and docker'} found (or no docker daemon runs); "
        "cure: hack/images/deps, or apt-get install buildah"
    )


def choose_base() -> str:
    """Take BASE_IMAGE, else the public image if its registry answers, else the one made here."""
    if wanted := os.environ.get("BASE_IMAGE"):
        return LOCAL_BASE if wanted == "local" else wanted
    try:
        socket.create_connection(PUBLIC_REGISTRY, timeout=3).close()
    except OSError:
        return LOCAL_BASE
    return PUBLIC_BASE


def build_base(builder: Builder) -> str:
    """Make the Debian base: its file system once into the user's cache, then the image from it.

    Its name tells its content, so that no other base in the builder's store is taken for it.
    """
    recipe = ROOT / "images" / "base"
    tar = CACHE / "images" / f"base-{folders.content_hash(recipe)[:16]}.tar"
    if not tar.exists():
        tar.parent.mkdir(parents=True, exist_ok=True)
        partial = tar.with_suffix(f".{os.getpid()}.tar")
        with step("base: Debian packages"):
            run([str(recipe / "bootstrap"), str(partial), str(provenance.EPOCH)])
        partial.rename(tar)
    context = folders.fresh_folder(OUT / "context" / "base")
    shutil.copy(recipe / "Dockerfile", context)
    folders.link_or_copy(tar, context / "base.tar")
    base = f"{LOCAL_BASE}:{folders.content_hash(context)[:16]}"
    if not builder.has(base):
        with step(f"base: {base}"):
            builder.build(context, base, None, {})
    return base


def build_image(builder: Builder, name: str, base: str) -> None:
    """Gather an image's content and build it, unless the archive has this content already."""
    context = folders.fresh_folder(OUT / "context" / name)
    shutil.copytree(ROOT / "images" / name, context, dirs_exist_ok=True)
    GATHER[name](context)
    set_modes(context)
    labels = provenance.labels(name, tag_of(name).rpartition(":")[2], public_name(base))
    key = folders.text_hash(
        base, builder.program, folders.content_hash(context), json.dumps(labels)
    )
    archive, tag, stamp = archive_of(name), tag_of(name), OUT / f"{name}.hash"
    if archive.exists() and stamp.exists() and stamp.read_text() == key:
        print(f"  {tag}: up to date")
        return
    with step(tag):
        builder.save(builder.build(context, tag, base, labels), tag, archive, base)
    stamp.write_text(key)
    print(f"  {archive.relative_to(ROOT)}: {archive.stat().st_size / 1e6:.0f} MB")


def gather_runner(context: Path) -> None:
    """Copy the parts of our package that a Pod runs: they need the standard library only."""
    copy_package(context / "factotum", only=FOR_THE_RUNNER)


def gather_operator(context: Path) -> None:
    """Copy our package, and the packages that it needs by their hashes."""
    copy_package(context / "factotum")
    folders.link_or_copy(installed_dependencies(), context / "site")


def gather_consul(context: Path) -> None:
    """Fetch Debian's Consul."""
    fetch = ROOT / "hack" / "consul" / "fetch"
    found = subprocess.run([fetch], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        raise BuildError("there is no Consul to put into an image, see above")
    folders.link_or_copy(Path(found.stdout.strip()), context / "consul")


GATHER = {"runner": gather_runner, "operator": gather_operator, "consul": gather_consul}


def installed_dependencies() -> Path:
    """Install what controller and job server need for the image; once for each set of files."""
    requirements = ROOT / "images" / "operator" / "requirements.txt"
    machine = platform.machine()
    key = folders.text_hash(
        requirements.read_text(), machine, lock.IMAGE_PYTHON, "no scripts recorded"
    )
    site = CACHE / "images" / f"site-{key[:16]}"
    if not site.exists():
        site.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".site-", dir=site.parent)
        with step("operator: Python packages"), scratch as folder:
            partial = Path(folder) / "site"
            run([
                *pip(), "install", "--quiet", "--no-compile", "--target", str(partial),
                *lock.platform_words(machine), "--no-deps", "--require-hashes",
                "--requirement", str(requirements),
            ])  # fmt: skip
            lock.forget_scripts(partial)
            partial.rename(site)
    return site


def pip() -> list[str]:
    """Find a pip: the project's own, else this Python's, else one made for the purpose."""
    ours = ROOT / ".venv" / "bin" / "python"
    for python in (str(ours), sys.executable):
        if Path(python).exists() and answers([python, "-m", "pip", "--version"]):
            return [python, "-m", "pip"]
    made = CACHE / "images" / "pip"
    run([sys.executable, "-m", "venv", str(made)])
    return [str(made / "bin" / "python"), "-m", "pip"]


def set_modes(folder: Path) -> None:
    """Have all be read by everybody and written by the owner, whatever the checkout's modes are."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)


def public_name(base: str) -> str | None:
    """Name a base image that others can pull, too."""
    return None if base.startswith("localhost/") else base


def copy_package(target: Path, *, only: frozenset[str] | None = None) -> None:
    """Copy operator/factotum, or only the named parts of it, without byte code."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        skipped = SKIPPED(folder, names)
        if only is not None and Path(folder) == PACKAGE:
            skipped |= set(names) - only
        return skipped

    shutil.copytree(PACKAGE, target, ignore=ignored)


def version() -> str:
    """Read the project's version, which the images are tagged with."""
    found = re.search(r'__version__ = "([^"]+)"', (PACKAGE / "__init__.py").read_text())
    if not found:
        raise BuildError(f"{PACKAGE / '__init__.py'} names no __version__")
    return found[1]


def tag_of(name: str) -> str:
    """Name an image as the local cluster and the demo know it."""
    return CONSUL if name == "consul" else f"localhost/factotum-{name}:{version()}"


def archive_of(name: str) -> Path:
    """Name an image's archive."""
    return OUT / f"{name}.tar"


def answers(command: list[str]) -> bool:
    """Whether a program ends well; what it says does not matter."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: list[str]) -> str:
    """Run a program and return what it printed; show what else it said only if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise BuildError(f"`{' '.join(command[:3])} ...` ended with {done.returncode}:\n{tail}")
    return done.stdout


class step:  # noqa: N801 - reads as a statement: `with step("...")`
    """Say what is being done, and how long it took."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        self._started = time.monotonic()
        print(f"  {self._text} ...", flush=True)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            print(f"  {self._text}: {time.monotonic() - self._started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
