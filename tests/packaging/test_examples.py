"""Every example is valid, and its two forms say the same. Real: the factotum command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.cluster.clusters import ROOT

EXAMPLES = ROOT / "examples"
FACTFILES = sorted(EXAMPLES.glob("*.factfile"))
MANIFESTS = sorted(EXAMPLES.glob("*.yaml"))


def jobs(path: Path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each["kind"] == "FactotumJob"]


@pytest.mark.parametrize("path", FACTFILES, ids=lambda path: path.stem)
def test_the_manifest_holds_the_factfile(path):
    (job,) = jobs(path.with_suffix(".yaml"))

    assert job["metadata"]["name"] == path.stem
    assert job["spec"]["factfile"] == json.loads(path.read_text())


@pytest.mark.parametrize("path", FACTFILES, ids=lambda path: path.stem)
def test_the_command_finds_the_factfile_valid(path, tmp_path):
    command = [str(Path(sys.executable).with_name("factotum")), "validate", str(path)]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, f"'{path}' is a valid Factfile!\n")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_readme_lists_the_example(path):
    listed = (EXAMPLES / "README.md").read_text()

    assert f"`{path.stem}`" in listed or f"`{path.name}`" in listed


@pytest.mark.cluster
def test_the_api_server_accepts_every_manifest(job_api):
    files = [word for path in MANIFESTS for word in ("-f", str(path))]

    said = job_api.kubectl("apply", "--dry-run=server", *files)

    made = [line for line in said.splitlines() if line.startswith("factotumjob.")]
    assert len(made) == sum(len(jobs(path)) for path in MANIFESTS)
