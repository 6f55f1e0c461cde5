"""What a scanner of images looks for, in every layer, with our answers in the reference.

Real: the archives of `make images`. Known holes of packages need a database that changes every day,
and are the registry's to look for.
"""

import io
import json
import re
import stat
import tarfile
from typing import NamedTuple

import pytest

from support.cluster.clusters import ROOT

pytestmark = pytest.mark.images

REFERENCE = (ROOT / "docs" / "reference" / "scans.md").read_text()
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\s]{64}")
_LARGE = 1_000_000


class Found(NamedTuple):
    """Files of a layer that somebody should have an answer to."""

    setuid: set[str]
    writable: set[str]
    keys: set[str]


_SEEN: dict[str, Found] = {}
"""Layers by digest: the images share their base."""


def scan(content: bytes) -> Found:
    """Look through a layer."""
    found = Found(set(), set(), set())
    with tarfile.open(fileobj=io.BytesIO(content)) as layer:
        for member in layer:
            if not member.isfile():
                continue
            path = "/" + member.name.removeprefix("./")
            if member.mode & (stat.S_ISUID | stat.S_ISGID):
                found.setuid.add(path)
            if member.mode & stat.S_IWOTH:
                found.writable.add(path)
            if member.size < _LARGE and KEY.search(layer.extractfile(member).read()):
                found.keys.add(path)
    return found


def look_into(name: str) -> tuple[str, list[Found]]:
    """Give an image's user, and what is in each of its layers."""
    with tarfile.open(ROOT / "build" / "images" / f"{name}.tar") as archive:

        def blob(descriptor: dict[str, str]) -> bytes:
            file = archive.extractfile("blobs/" + descriptor["digest"].replace(":", "/"))
            assert file is not None
            return file.read()

        index = json.loads(archive.extractfile("index.json").read())
        manifest = json.loads(blob(index["manifests"][0]))
        for layer in manifest["layers"]:
            if layer["digest"] not in _SEEN:
                _SEEN[layer["digest"]] = scan(blob(layer))
        user = json.loads(blob(manifest["config"]))["config"]["User"]
        return user, [_SEEN[layer["digest"]] for layer in manifest["layers"]]


@pytest.mark.parametrize("name", ["operator", "runner", "consul"])
def test_an_image_has_nothing_without_an_answer(name):
    user, layers = look_into(name)
    answered = set(re.findall(r"`(/[\w./-]+)`", REFERENCE))

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, and not root's"
    assert set().union(*(found.setuid for found in layers)) <= answered
    assert set().union(*(found.writable for found in layers)) == set()
    assert set().union(*(found.keys for found in layers)) == set()


def test_a_key_would_be_found():
    lines = b"-----BEGIN EC PRIVATE KEY-----\n" + b"M" * 64 + b"\n-----END EC PRIVATE KEY-----"

    assert KEY.search(b"x\n" + lines)
