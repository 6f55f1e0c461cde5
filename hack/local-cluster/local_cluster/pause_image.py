"""The image of the process that holds a Pod's namespaces: ours, as no registry is needed then.

One static program, wrapped by hand into an OCI archive, so that `up` needs no image builder.
"""

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local_cluster import building, catalogue, folders, golang, locking

NAME = "localhost/pause:1"
_SOURCE = folders.MODULES / "pause"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def ensure(marker: Mapping[str, str]) -> Path:
    """Give the archive's path, building it if the cache does not hold it."""
    version = hashlib.sha256((_SOURCE / "main.go").read_bytes()).hexdigest()[:12]
    archive = folders.cache() / "images" / f"pause-{version}.tar"
    if not archive.exists():
        with locking.locked(archive.with_suffix(".lock"), "waiting for the pause image"):
            _build(archive, marker)
    return archive


def _build(archive: Path, marker: Mapping[str, str]) -> None:
    go = golang.find(catalogue.go_version("pause"))
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        program = Path(scratch, "pause")
        command = [str(go), "build", "-trimpath", "-ldflags=-s -w", f"-o={program}", "."]
        building.run_go(command, cwd=_SOURCE, label="the pause image", marker=marker)
        fresh = Path(scratch, "archive.tar")
        fresh.write_bytes(build_archive(program.read_bytes()))
        fresh.replace(archive)


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def build_archive(program: bytes, name: str = NAME) -> bytes:
    """Build an OCI image archive called `name` whose only content is /pause. Pure."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    kinds = "application/vnd.oci.image"
    layer = blob(_tar({"pause": program}, 0o755), f"{kinds}.layer.v1.tar")
    machine = platform.machine()
    settings = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    config = blob(json.dumps(settings).encode(), f"{kinds}.config.v1+json")
    manifest_kind = f"{kinds}.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_kind, "config": config, "layers": [layer]}
    named = blob(json.dumps(manifest).encode(), manifest_kind)
    named["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
    }
    index = {"schemaVersion": 2, "manifests": [named]}
    layout = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
    }
    return _tar(layout | blobs, 0o644)
