"""What the images say of themselves: labels, and bills of materials that list what is in them.

Real: the archives of `make images`, and CycloneDX's own schema, by which each bill is checked.
"""

import importlib.util
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from support.cluster.clusters import ROOT

pytestmark = pytest.mark.images

ARCHIVES = ROOT / "build" / "images"
PROGRAM = str(ROOT / "hack" / "images" / "sbom.py")
PREFIX = "org.opencontainers.image."


NAMES = ("runner", "operator")


@pytest.fixture(scope="module")
def bills(tmp_path_factory):
    """Each image's bill, written twice, beside links to its archive."""
    program = str(ROOT / "hack" / "images" / "build.py")
    subprocess.run([sys.executable, program, *NAMES], check=True, capture_output=True)
    links = []
    for name in NAMES:
        for number in (1, 2):
            place = tmp_path_factory.mktemp(f"bill-{number}") / f"{name}.tar"
            place.symlink_to(ARCHIVES / f"{name}.tar")
            links.append(place)
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, links)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    texts = [link.with_suffix(".cdx.json").read_text() for link in links]
    return {name: texts[2 * n : 2 * n + 2] for n, name in enumerate(NAMES)}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.longer) for name in NAMES])
def name(request):
    return request.param


@pytest.fixture
def archive(name):
    return ARCHIVES / f"{name}.tar"


@pytest.fixture
def bill(name, bills):
    return json.loads(bills[name][0])


def read(archive: Path, file: str):
    with tarfile.open(archive) as content:
        return json.load(content.extractfile(file))


def blob(archive, descriptor):
    return read(archive, "blobs/" + descriptor["digest"].replace(":", "/"))


def manifest_of(archive):
    return blob(archive, read(archive, "index.json")["manifests"][0])


def by_purl(bill, kind):
    found = {}
    for component in bill["components"]:
        purl = component.get("purl", "")
        if match := re.match(rf"pkg:{kind}/(?:\w+/)?([^@]+)@([^?]+)", purl):
            found[match[1]] = match[2]
    return found


def test_it_is_of_the_image_that_it_lies_beside(name, archive, bill):
    digest = read(archive, "index.json")["manifests"][0]["digest"]
    subject = bill["metadata"]["component"]

    assert bill["specVersion"] == "1.6"
    assert subject["name"] == f"factotum-{name}"
    assert subject["hashes"] == [{"alg": "SHA-256", "content": digest.partition(":")[2]}]
    assert digest in subject["purl"]


def test_it_lists_the_system_the_interpreter_and_its_libraries(bill):
    packages = by_purl(bill, "deb")
    others = {c["bom-ref"]: (c["name"], c["version"]) for c in bill["components"]}

    assert {
        "libc6",
        "libssl3",
        "python3.11-minimal",
        "ca-certificates",
        "tzdata",
    } <= packages.keys()
    assert others["os"] == ("debian", "12")
    assert others["interpreter"][0] == "python"
    assert packages["python3.11-minimal"].startswith(others["interpreter"][1])
    assert not any("deb/debian" in c["purl"] and "distro=debian-12" not in c["purl"]
                   for c in bill["components"] if "purl" in c)  # fmt: skip


def test_it_lists_what_was_installed_and_no_more(name, bill):
    text = (ROOT / "images/operator/requirements.txt").read_text()
    installed = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    listed = by_purl(bill, "pypi")

    assert {k.replace(".", "-"): v for k, v in listed.items()} == (
        {} if name == "runner" else {k.replace(".", "-"): v for k, v in installed.items()}
    )


def test_what_the_portable_runner_was_copied_from_is_told(name, bill):
    (ours,) = (c for c in bill["components"] if c["bom-ref"] == "factotum")
    copies = {
        entry["value"].rpartition("/")[2]: part["name"]
        for part in ours.get("components", ())
        for entry in part["properties"]
    }

    if name == "operator":
        assert copies == {}
    else:
        wanted = {
            "python3": "python3.11-minimal",
            "loader": "libc6",
            "libc.so.6": "libc6",
            "libssl.so.3": "libssl3",
            "libz.so.1": "zlib1g",
        }
        assert wanted.items() <= copies.items()


def test_every_file_of_the_portable_runners_libraries_has_an_origin(name, archive, bill):
    if name == "operator":
        return
    copies = {
        entry["value"]
        for c in bill["components"]
        for part in c.get("components", ())
        for entry in part["properties"]
    }
    binaries = set()
    with tarfile.open(archive) as content:
        for layer in manifest_of(archive)["layers"]:
            file = content.extractfile("blobs/" + layer["digest"].replace(":", "/"))
            with tarfile.open(fileobj=file) as members:
                for member in members:
                    path = member.name
                    if path.startswith("opt/factotum/portable/") and member.isfile():
                        start = members.extractfile(member).read(4)
                        if start == b"\x7fELF":
                            binaries.add(path)

    assert len(binaries) > 10
    assert binaries == copies


def test_the_same_image_has_the_same_bill(name, bills):
    one, other = bills[name]

    assert one == other


def test_an_image_says_what_it_is_and_when_is_not_a_matter_of_the_hour(bills, name, archive):
    manifest = manifest_of(archive)
    config = blob(archive, manifest["config"])
    labels = config["config"]["Labels"]

    assert labels[f"{PREFIX}title"] == f"factotum-{name}"
    assert labels[f"{PREFIX}licenses"] == "Apache-2.0"
    said = {key: value for key, value in labels.items() if key.startswith(PREFIX)}
    assert said.items() <= manifest["annotations"].items()
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_what_is_no_image_is_refused(tmp_path):
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"nonsense")
    done = subprocess.run(
        [sys.executable, PROGRAM, str(bad)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "is no OCI archive" in done.stderr


@pytest.fixture(scope="module")
def sbom():
    described = importlib.util.spec_from_file_location("sbom", PROGRAM)
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("when", "where", "complaint"),
    [
        ("2023-11-14T22:13:20Z", "https://example.org/a?b#c", ""),
        ("2023-11-14T22:13:20Z", "https://exa mple.org", "'https://exa mple.org' is not valid"),
        ("2023-11-14T22:13:20Z", "https://[::1", "'https://[::1' is not valid"),
        ("yesterday", "https://example.org", "'yesterday' is not a 'date-time'"),
    ],
)
def test_a_bill_with_a_wrong_time_or_address_is_not_valid(sbom, when, where, complaint):
    reference = {"type": "website", "url": where}
    component = {"type": "library", "name": "x", "externalReferences": [reference]}
    metadata = {"timestamp": when, "component": component}
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": metadata}

    assert sbom.what_is_wrong(json.dumps(bill)).startswith(complaint)
    assert bool(sbom.what_is_wrong(json.dumps(bill))) is bool(complaint)
