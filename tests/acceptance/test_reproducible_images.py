"""Images built twice have the same digests: in another folder, by another umask, in another store.

Real: builds by `hack/images/build.py` in fresh copies of this tree, Debian's packages and Python's
fetched. They are in the store that the builder has on this machine, with whatever lies in it, in
an empty one, and in one of the plainest kind. Another is on a base image that a registry serves.
What is compared is what a cluster pulls by.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.cluster import registries
from support.cluster.clusters import ROOT

pytestmark = [pytest.mark.images, pytest.mark.acceptance, pytest.mark.timeout(1800)]

BASE = "localhost/factotum-base"
SOURCES = ("operator", "images", "hack", "constraints.txt", "pyproject.toml")


def copy_tree(target: Path) -> Path:
    """Copy what is committed or would be, as a checkout of it has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def build(tree: Path, *names: str, umask: int = 0o022, **more: str) -> Path:
    """Build in a tree; return where the archives are."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(tree / "hack" / "images" / "build.py"), *names],
        env=os.environ | {"BASE_IMAGE": "local"} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=umask,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    print(f"built in {time.monotonic() - began:.0f} s:\n{done.stdout}")
    return tree / "build" / "images"


def own_store(folder: Path, driver: str) -> dict[str, str]:
    """Give the builder an empty store; return the variables that name it."""
    folder.mkdir()
    settings = folder / "storage.conf"
    settings.write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/s"\nrunroot = "{folder}/r"\n'
    )
    return {"CONTAINERS_STORAGE_CONF": str(settings), "STORAGE_DRIVER": driver}


def usual_driver() -> str:
    """Tell of which kind the builder's own store is on this machine."""
    words = ("buildah", "info", "--format", "{{.store.GraphDriverName}}")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def members(archive: Path) -> dict[str, tuple[object, ...]]:
    """Describe every file of an image, for the words of a failure."""
    found = {}
    with tarfile.open(archive) as content:
        index = json.load(content.extractfile("index.json"))
        manifest = json.load(content.extractfile(blob(index["manifests"][0])))
        for number, layer in enumerate(manifest["layers"]):
            with tarfile.open(fileobj=content.extractfile(blob(layer))) as files:
                for m in files:
                    data = files.extractfile(m).read() if m.isfile() else m.linkname
                    found[f"{number}:{m.name}"] = (m.mode, m.uid, m.gid, m.mtime, hash(data))
    return found


def blob(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def digest(archive: Path) -> str:
    with tarfile.open(archive) as content:
        return json.load(content.extractfile("index.json"))["manifests"][0]["digest"]


def described(archive: Path):
    """Give an image's manifest and its configuration."""
    with tarfile.open(archive) as content:
        index = json.load(content.extractfile("index.json"))
        manifest = json.load(content.extractfile(blob(index["manifests"][0])))
        return manifest, json.load(content.extractfile(blob(manifest["config"])))


def labels_of(archive: Path) -> dict[str, str]:
    return described(archive)[1]["config"]["Labels"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder for trees; what the builder left in them is not this process's to delete alone."""
    folder = tmp_path_factory.mktemp("workshop")
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=False)


def assert_same(first: Path, second: Path, names: tuple[str, ...]) -> None:
    """Compare images; say which files differ."""
    for name in names:
        archives = first / f"{name}.tar", second / f"{name}.tar"
        one, other = map(digest, archives)
        print(f"{name}: {one}")
        if one != other:
            files = [members(archive) for archive in archives]
            keys = files[0].keys() | files[1].keys()
            print([(k, files[0].get(k), files[1].get(k)) for k in sorted(keys)
                   if files[0].get(k) != files[1].get(k)][:20])  # fmt: skip
            print(*(described(archive) for archive in archives), sep="\n")
        assert one == other


@pytest.fixture(scope="module")
def cache(workshop):
    """A cache of downloads that begins empty, too: what an older one has, Debian has no more."""
    return {"XDG_CACHE_HOME": str(workshop / "cache")}


@pytest.fixture(scope="module")
def store(workshop, cache):
    """An empty store of the usual kind, for images that nobody else is to find."""
    return cache | own_store(workshop / "store", usual_driver())


def test_images_are_the_same_whatever_the_builders_store_has(workshop, cache, store):
    here, far, warm, empty = (
        copy_tree(workshop / name) for name in ("here", "a/much longer way", "warm", "empty")
    )
    for path in far.rglob("*"):  # as a checkout by another umask
        path.chmod(path.stat().st_mode & ~0o077)
    (far / ".venv").symlink_to(sys.prefix)  # a Python of the tree's own installs the packages
    others = {"TZ": "Asia/Tokyo", "LANG": "C", "XDG_CACHE_HOME": str(workshop / "other cache")}
    others |= own_store(workshop / "plain", "vfs")
    with ThreadPoolExecutor() as pool:
        # A store of that kind copies all files at each step: only the image that has most to lose.
        another = pool.submit(build, far, "operator", umask=0o077, **others)
        first = build(here, **cache)
        again = build(warm, **cache)  # nothing is left to do but to write it down
        fresh = build(empty, "runner", **store)

        assert_same(first, again, ("runner", "operator", "consul"))
        assert_same(first, fresh, ("runner",))
        assert_same(first, another.result(), ("operator",))


def test_a_base_that_a_registry_serves_is_pinned_by_digest_and_recorded(workshop, store):
    tree = copy_tree(workshop / "pinned")
    build(tree, "runner", **store)
    with registries.running(workshop / "registry", "127.0.0.1") as registry:
        name = f"{registry.address}/library/base:bookworm"
        known = {
            **store,
            "SSL_CERT_FILE": str(registry.authority),
            "REGISTRY_AUTH_FILE": str(registry.write_credentials()),
        }
        push = ["buildah", "push", "--quiet", "--digestfile", str(workshop / "pushed")]
        listed = [
            "buildah",
            "images",
            "--format",
            "{{.Name}}:{{.Tag}}",
            "--filter",
            f"reference={BASE}",
        ]
        local = subprocess.run(
            listed, capture_output=True, text=True, check=True, env=os.environ | store
        ).stdout.strip()
        subprocess.run([*push, local, f"docker://{name}"], check=True, env=os.environ | known)
        pushed = (workshop / "pushed").read_text()
        by_tag = build(tree, "runner", BASE_IMAGE=name, **known) / "runner.tar"
        first = digest(by_tag)
        labels = labels_of(by_tag)
        by_tag.unlink()
        again = build(tree, "runner", BASE_IMAGE=f"{name}@{pushed}", **known) / "runner.tar"

        assert labels["org.opencontainers.image.base.name"] == name
        assert labels["org.opencontainers.image.base.digest"] == pushed
        assert digest(again) == first
        wrong = f"{name}@sha256:{'0' * 64}"
        with pytest.raises(AssertionError, match="ended with"):
            build(tree, "runner", BASE_IMAGE=wrong, **known)


@pytest.fixture
def repository(workshop):
    """A tree with a history of its own."""
    tree = copy_tree(workshop / "repository")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    dated = os.environ | {"GIT_COMMITTER_DATE": "2026-01-02T03:04:05+09:00"}
    (tree / ".gitignore").write_text("build/\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "All")):
        subprocess.run(["git", *identity, *words], cwd=tree, check=True, env=dated)
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True
    )
    return tree, found.stdout.strip()


def test_the_commit_is_said_if_it_is_the_one_that_was_built_and_else_refused(repository, store):
    tree, commit = repository

    source = "https://example.org/x"
    archive = build(tree, "runner", REVISION=commit, SOURCE_URL=source, **store)
    labels = labels_of(archive / "runner.tar")

    said = {k.rpartition(".")[2]: v for k, v in labels.items()}
    assert (said["revision"], said["source"]) == (commit, source)
    assert said["created"] == "2026-01-01T18:04:05Z"
    for wrong in ("main", "0" * 40):
        with pytest.raises(AssertionError, match="REVISION"):
            build(tree, "runner", REVISION=wrong, **store)
    with (tree / "images" / "runner" / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(AssertionError, match="never committed"):
        build(tree, "runner", REVISION=commit, **store)


def test_an_index_that_serves_another_file_is_found_out(workshop, store):
    tree = copy_tree(workshop / "deceived")
    requirements = tree / "images" / "operator" / "requirements.txt"
    text = requirements.read_text()
    at = re.search(r"^attrs==.*?sha256:([0-9a-f]{64})", text, re.MULTILINE | re.DOTALL)
    requirements.write_text(text.replace(at[1], "0" * 64))

    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        build(tree, "operator", **store)
