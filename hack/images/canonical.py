"""Give an image's own layers one form, whatever builder and store they come from.

Standard library only. A builder lists the files of a layer in the order in which its store tells
them, keeps hard links or does not, and notes the names of its intermediate images and the digest
that the base has there; all of that is part of an image's digest, and none of it is content.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import provenance

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_KEPT = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
_LEVEL = 6


class NotPlainError(Exception):
    """A layer has what cannot be brought into the form without losing something."""


class Layer(NamedTuple):
    """A layer in its form: compressed, and the hash of what it is without compression."""

    content: bytes
    diff_id: str


def rewrite(archive: Path, base_layers: int) -> None:
    """Bring an OCI archive of one image into its form. The base's layers stay as they are.

    Raises:
        NotPlainError: one of the other layers has devices or extended attributes.
    """
    with tarfile.open(archive) as old:
        index = json.load(_open(old, "index.json"))
        (described,) = index["manifests"]
        manifest = json.loads(_blob(old, described))
        config = json.loads(_blob(old, manifest["config"]))
        blobs: dict[str, bytes] = {}
        for number, entry in enumerate(manifest["layers"]):
            if number < base_layers:
                blobs[entry["digest"]] = _blob(old, entry)
                continue
            layer = normalise(_blob(old, entry))
            manifest["layers"][number] = _add(blobs, layer.content, _LAYER)
            config["rootfs"]["diff_ids"][number] = layer.diff_id
        layout = _open(old, "oci-layout").read()
    # Builders add the name and digest that the base has in their store.
    labels = config["config"].get("Labels") or {}
    said = manifest.get("annotations", {}).items()
    manifest["annotations"] = {key: value for key, value in said if labels.get(key) == value}
    for entry in config.get("history", ()):
        if entry.get("comment", "").startswith("FROM "):
            del entry["comment"]
    kept = {key: described[key] for key in ("annotations", "platform") if key in described}
    manifest["config"] = _add(blobs, _json(config), manifest["config"]["mediaType"])
    index["manifests"] = [_add(blobs, _json(manifest), described["mediaType"]) | kept]
    fresh = archive.with_suffix(".canonical")
    with tarfile.open(fresh, "w") as new:
        _write(new, "oci-layout", layout)
        _write(new, "index.json", _json(index))
        for digest, content in sorted(blobs.items()):
            _write(new, "blobs/" + digest.replace(":", "/"), content)
    fresh.replace(archive)


def normalise(layer: bytes) -> Layer:
    """Sort a layer's files, let each be a file of its own, and keep nothing but their content."""
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(layer)) as old:
        for member in old:
            file = old.extractfile(member) if member.isfile() or member.islnk() else None
            plain = _plain(member)
            content = file.read() if file else b""
            plain.size = len(content)
            found[plain.name] = plain, content
    bare = io.BytesIO()
    with tarfile.open(fileobj=bare, mode="w", format=tarfile.GNU_FORMAT) as new:
        for _, (member, content) in sorted(found.items(), key=lambda each: each[0].split("/")):
            new.addfile(member, io.BytesIO(content))
    text = bare.getvalue()
    return Layer(gzip.compress(text, _LEVEL, mtime=0), _digest(text))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    kind = tarfile.REGTYPE if member.isfile() or member.islnk() else member.type
    if kind not in _KEPT or any(key.startswith("SCHILY.xattr") for key in member.pax_headers):
        raise NotPlainError(f"{member.name} is no plain file, folder or link")
    plain = tarfile.TarInfo(member.name.removeprefix("./"))
    plain.type, plain.mode, plain.uid, plain.gid = kind, member.mode, member.uid, member.gid
    plain.linkname = member.linkname if kind == tarfile.SYMTYPE else ""
    plain.mtime = provenance.EPOCH
    return plain


def _add(blobs: dict[str, bytes], content: bytes, kind: str) -> dict[str, Any]:
    digest = _digest(content)
    blobs[digest] = content
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _blob(archive: tarfile.TarFile, entry: dict[str, Any]) -> bytes:
    return _open(archive, "blobs/" + str(entry["digest"]).replace(":", "/")).read()


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise NotPlainError(f"{name} of the archive is no file")
    return file


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), provenance.EPOCH
    archive.addfile(entry, io.BytesIO(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
