"""The shape of the repository that other things rely on. Reads files; runs one Python."""

import operator
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from support.cluster.clusters import ROOT

SOURCES = ROOT / "operator"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_source_root_does_not_hide_the_standard_library():
    assert not (SOURCES / "__init__.py").exists()
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("folder", [ROOT, SOURCES], ids=["root", "operator"])
def test_python_starts_in_every_folder_of_the_repository(folder):
    check = "import operator, collections; print(operator.eq(1, 1))"

    done = subprocess.run(
        [sys.executable, "-c", check], cwd=folder, capture_output=True, text=True, check=True
    )

    assert done.stdout == "True\n"


def test_one_version_everywhere():
    version = re.search(r'__version__ = "(.+)"', (SOURCES / "factotum/__init__.py").read_text())[1]
    chart = yaml.safe_load((ROOT / "charts/factotum-operator/Chart.yaml").read_text())
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]

    assert chart["version"] == chart["appVersion"] == newest == version


def test_the_runner_needs_nothing_but_the_standard_library():
    assert PYPROJECT["project"]["dependencies"] == []


def test_every_dependency_has_a_pinned_version():
    pinned = {
        name.lower().replace("_", "-")
        for name in re.findall(
            r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE
        )
    }
    wanted = {
        re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        for extra in PYPROJECT["project"]["optional-dependencies"].values()
        for requirement in extra
    }

    assert wanted - pinned == set()


def test_no_source_file_is_longer_than_400_lines():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "operator").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }

    assert long == {}


def test_what_the_operators_image_installs_is_pinned_by_version_and_hash():
    text = (ROOT / "images/operator/requirements.txt").read_text()
    entries = re.findall(
        r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    )
    versions = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    wanted = {
        re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        for requirement in PYPROJECT["project"]["optional-dependencies"]["operator"]
    }

    assert len(entries) == text.count("==") > 20
    assert {name: version for name, version, _ in entries}.items() <= versions.items()
    assert wanted <= {name for name, _, _ in entries}
