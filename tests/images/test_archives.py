"""What is in the images' archives, and that an unchanged image is not built again.

Real: the archives of `make images`, read as the container runtime reads them. That the images run
is shown by the tests on a real kubelet.
"""

import io
import json
import resource
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.cluster.clusters import ROOT

pytestmark = pytest.mark.images

ARCHIVES = ROOT / "build" / "images"
MEGABYTE = 1_000_000


class Image(NamedTuple):
    """An image: how it is run, and the files of its own layers, the base's left out."""

    config: dict[str, Any]
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def build_again() -> str:
    """Run the build once more on the tree as it is; print what it says."""
    program = str(ROOT / "hack" / "images" / "build.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(path: Path) -> Image:
    """Read an OCI archive."""
    with tarfile.open(path) as archive:

        def blob(descriptor: dict[str, str]) -> bytes:
            name = "blobs/" + descriptor["digest"].replace(":", "/")
            file = archive.extractfile(name)
            assert file is not None
            return file.read()

        index = json.loads(archive.extractfile("index.json").read())
        manifest = json.loads(blob(index["manifests"][0]))
        config = json.loads(blob(manifest["config"]))["config"]
        files = {}
        for layer in manifest["layers"][1:]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer))) as content:
                for member in content:
                    file = content.extractfile(member) if member.isfile() else None
                    files[member.name] = file.read() if file else b""
    return Image(config, files)


@pytest.mark.parametrize("name", ["runner", "operator"])
def test_the_user_is_a_number_and_not_root(build_again, name):
    assert read(ARCHIVES / f"{name}.tar").config["User"] == "65532:65532"


def test_the_runner_holds_what_the_pod_runs_and_no_more(build_again):
    image = read(ARCHIVES / "runner.tar")
    ours = {name.split("/")[3] for name in image.files if name.startswith("opt/factotum/factotum/")}

    assert {"core", "runner", "events", "cli", "pod", "entry.py"} <= ours
    assert ours.isdisjoint({"controller", "kube", "persistence"})
    assert not [name for name in image.files if "site-packages/" in name]
    assert image.config["WorkingDir"] == "/work"


def test_the_runner_starts_without_detours(build_again):
    files = read(ARCHIVES / "runner.tar").files
    first_line = files["usr/local/bin/factotum"].splitlines()[0]
    code = files["opt/factotum/factotum/__pycache__/entry.cpython-311.pyc"]

    assert first_line.endswith(b"/python3 -IS")
    assert int.from_bytes(code[4:8], "little") == 0b01  # trusted by hash, sources are not looked at


def test_the_images_are_small(build_again):
    sizes = {path.stem: path.stat().st_size / MEGABYTE for path in ARCHIVES.glob("*.tar")}
    print("image archives:", {name: f"{size:.0f} MB" for name, size in sizes.items()})

    assert sizes["runner"] < 80
    assert sizes["operator"] < 120


def test_an_unchanged_image_is_not_built_again(build_again):
    # Of the processor: how long it waits for its turn says nothing of the build.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = str(ROOT / "hack" / "images" / "build.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"make images without a change: {seconds:.1f} s of the processor")

    assert done.stdout.count("up to date") >= 2
    assert 0 < seconds < 4
