"""An image's own layers have one form, in whatever order and way its builder wrote them.

Real: the runner's archive of `make images`, taken apart and written as another builder might.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from support.cluster.clusters import ROOT

pytestmark = pytest.mark.images

ARCHIVE = ROOT / "build" / "images" / "runner.tar"
PROGRAM = ROOT / "hack" / "images" / "canonical.py"


@pytest.fixture(scope="module")
def canonical():
    sys.path.insert(0, str(PROGRAM.parent))
    try:
        described = importlib.util.spec_from_file_location("canonical", PROGRAM)
        module = importlib.util.module_from_spec(described)
        sys.modules["canonical"] = module
        described.loader.exec_module(module)
    finally:
        sys.path.remove(str(PROGRAM.parent))
    return module


def digest(archive: Path) -> str:
    with tarfile.open(archive) as content:
        return json.load(content.extractfile("index.json"))["manifests"][0]["digest"]


def name_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def write_otherwise(archive: Path) -> None:
    """Write the image's own layers as another builder would: order, links, compression, notes."""
    with tarfile.open(archive) as old:
        files = {m.name: old.extractfile(m).read() for m in old if m.isfile()}

    def take(entry):
        return files.pop("blobs/" + entry["digest"].replace(":", "/"))

    def put(content):
        files["blobs/" + name_of(content).replace(":", "/")] = content
        return {"digest": name_of(content), "size": len(content)}

    index = json.loads(files["index.json"])
    manifest = json.loads(take(index["manifests"][0]))
    config = json.loads(take(manifest["config"]))
    for number in range(1, len(manifest["layers"])):
        bare = otherwise(gzip.decompress(take(manifest["layers"][number])))
        manifest["layers"][number] |= put(gzip.compress(bare, 1, mtime=number))
        config["rootfs"]["diff_ids"][number] = name_of(bare)
        config["history"][-number]["comment"] = f"FROM {number}"
    manifest["config"] |= put(json.dumps(config).encode())
    index["manifests"][0] |= put(json.dumps(manifest).encode())
    files["index.json"] = json.dumps(index).encode()
    with tarfile.open(archive, "w") as new:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))


def otherwise(layer: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(layer)) as old:
        members = [(m, old.extractfile(m).read() if m.isfile() else b"") for m in old]
    members.reverse()
    linked: dict[tuple[object, ...], str] = {}
    bare = io.BytesIO()
    with tarfile.open(fileobj=bare, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member, content in members:
            same = (content, member.mode, member.uid, member.gid)
            if member.isfile() and same in linked:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, linked[same], 0
            elif member.isfile():
                linked[same] = member.name
            member.mtime, member.uname = 1.5, "somebody"
            new.addfile(member, io.BytesIO(content))
    return bare.getvalue()


def test_an_image_that_was_written_otherwise_is_the_same_again(canonical, tmp_path):
    archive = tmp_path / "other.tar"
    archive.write_bytes(ARCHIVE.read_bytes())
    write_otherwise(archive)
    assert digest(archive) != digest(ARCHIVE)

    canonical.rewrite(archive, base_layers=1)

    assert digest(archive) == digest(ARCHIVE)
    assert archive.read_bytes() == ARCHIVE.read_bytes()


@pytest.mark.parametrize(
    ("kind", "headers"),
    [(tarfile.CHRTYPE, {}), (tarfile.REGTYPE, {"SCHILY.xattr.security.capability": "x"})],
)
def test_what_would_be_lost_is_refused(canonical, kind, headers):
    member = tarfile.TarInfo("some/file")
    member.type, member.pax_headers = kind, headers
    bare = io.BytesIO()
    with tarfile.open(fileobj=bare, mode="w", format=tarfile.PAX_FORMAT) as layer:
        layer.addfile(member)

    with pytest.raises(canonical.NotPlainError, match="some/file"):
        canonical.normalise(bare.getvalue())
