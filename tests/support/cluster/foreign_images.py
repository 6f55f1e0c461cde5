"""Images that know nothing of the runner: old and new, with and without a C library.

Their files are Debian's packages, unpacked and not set up; made once and kept in the user's cache.
What an image says of itself, its variables above all, is laid over them anew each time.
"""

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "factotum-operator"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_UNNEEDED = tuple(
    f"./{folder}/"
    for folder in ("usr/share", "var", "etc/apt", "usr/sbin", "sbin", "dev", "usr/lib/systemd")
)
APPLETS = (
    *("sh", "awk", "cat", "date", "env", "head", "id", "ls", "readlink", "seq", "sleep", "sort"),
    "tr",
)


class Foreign(NamedTuple):
    """An image: of which Debian it has which packages, and what it says of itself.

    Attributes:
        wanted: whether a path of the packages belongs into it.
        links: names to paths.
        files: further ones.
        variables: its own environment, ENV in a Dockerfile.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    variables: Mapping[str, str]
    wanted: Callable[[str], bool] = lambda _: True
    links: Mapping[str, str] = {}
    files: Mapping[str, str] = {}

    @property
    def tag(self) -> str:
        """The image's name in a Pod."""
        return f"localhost/foreign-{self.name}:1"

    def archive(self, folder: Path, tag: str = "") -> Path:
        """Write the image into a folder, as an archive that containerd loads."""
        path = folder / f"{self.name}{'-again' if tag else ''}.tar"
        path.write_bytes(_oci_archive(tag or self.tag, self._layer(), self.variables))
        return path

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        with (
            tarfile.open(_unpacked(self.suite, self.packages)) as packages,
            tarfile.open(fileobj=buffer, mode="w") as layer,
        ):
            for member in packages:
                if member.name.startswith(_UNNEEDED) or not self.wanted(member.name):
                    continue
                layer.addfile(member, packages.extractfile(member) if member.isreg() else None)
            for name, target in self.links.items():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                layer.addfile(link)
            for name, content in self.files.items():
                file = tarfile.TarInfo(name)
                file.size, file.mode = len(content.encode()), 0o755
                layer.addfile(file, io.BytesIO(content.encode()))
        return buffer.getvalue()


def _unpacked(suite: str, packages: tuple[str, ...]) -> Path:
    """Give the files of some packages and of what they depend on, as a tar archive."""
    key = hashlib.sha256(" ".join((suite, *packages)).encode()).hexdigest()[:12]
    path = _CACHE / "images" / f"foreign-{suite}-{key}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tar")
        command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(packages)}"]
        done = subprocess.run(
            [*command, suite, str(partial)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"no image of {suite} (hack/images/deps?): {done.stderr}"
        partial.rename(path)
    return path


def _oci_archive(tag: str, layer: bytes, variables: Mapping[str, str]) -> bytes:
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    kinds = "application/vnd.oci.image"
    layers = [blob(layer, f"{kinds}.layer.v1.tar")]
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Env": [f"{name}={value}" for name, value in variables.items()]},
        "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kinds}.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), f"{kinds}.config.v1+json"),
        "layers": layers,
    }
    named = blob(json.dumps(manifest).encode(), f"{kinds}.manifest.v1+json") | {
        "annotations": {"io.containerd.image.name": tag}
    }
    index = {"schemaVersion": 2, "manifests": [named]}
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    blobs["index.json"] = json.dumps(index).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in blobs.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


_GLIBC = ("dash", "coreutils", "base-files")
_TOOLS = {"opt/tools/tool": "#!/bin/sh\necho a tool of the image\n"}
HIJACKED = "http://192.0.2.200:9/"
"""Where an image would send a job's events, if it had a say in it."""


def _libraries() -> str:
    return f"/lib/{platform.machine()}-linux-gnu"


def all_of_them(authorities: str) -> list[Foreign]:
    """Describe the images.

    Args:
        authorities: certificates, PEM, that one of them wants to trust instead of ours.
    """
    busybox = {f"bin/{name}": "busybox" for name in APPLETS}
    musl = f"/lib/ld-musl-{platform.machine()}.so.1"
    return [
        # Newer than the runner's own libraries, and with a hand in every programs' start.
        Foreign(
            "debian-13",
            "trixie",
            _GLIBC,
            {
                "PATH": "/opt/tools:/usr/bin:/bin",
                "LD_PRELOAD": f"{_libraries()}/libm.so.6",
                "LD_LIBRARY_PATH": _libraries(),
                "LANG": "de_DE.UTF-8",
                "PYTHONHOME": "/nowhere",
                "OPENSSL_CONF": "/nowhere/openssl.cnf",
                "FACTOTUM_WEBHOOK_URL": HIJACKED,
                "FACTOTUM_TOKEN_FILE": "/nowhere/token",
                "FACTOTUM_TERMINATION_LOG": "/nowhere/log",
            },
            files=_TOOLS | {"etc/nsswitch.conf": "hosts: nonsense [!UNAVAIL=return]\n"},
        ),
        # Older than they are, and with authorities of its own.
        Foreign(
            "debian-11",
            "bullseye",
            _GLIBC,
            {
                "PATH": "/opt/tools:/usr/bin:/bin",
                "SSL_CERT_FILE": "/etc/authorities.pem",
                "LC_ALL": "C",
                "TZ": "Asia/Tokyo",
            },
            files=_TOOLS | {"etc/authorities.pem": authorities},
        ),
        # Another C library, which would end ours if both met in one process.
        Foreign(
            "musl",
            "bookworm",
            ("busybox-static", "musl"),
            {"PATH": "/opt/tools:/bin", "LD_PRELOAD": musl},
            lambda path: "musl" in path or path in ("./bin/", "./lib/", "./bin/busybox"),
            busybox,
            _TOOLS | {"etc/ld.so.preload": f"{musl}\n"},
        ),
        # One program and nothing else: no folder /etc or /tmp, and no variable.
        Foreign(
            "busybox",
            "bookworm",
            ("busybox-static", "musl"),
            {},
            lambda path: path in ("./bin/", "./bin/busybox"),
            busybox,
        ),
    ]
