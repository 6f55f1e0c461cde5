"""What trivy finds in manifests, Dockerfiles and images has an answer in the reference.

Real: helm, trivy with the checks that are built into it, the archives of `make images`. Its
database of known holes is not there: that one changes every day, and is looked into by whoever runs
the images.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from support.cluster import clusters
from support.cluster.clusters import ROOT

# The first run builds trivy, which takes minutes; `make acceptance` has done so before.
pytestmark = [pytest.mark.images, pytest.mark.acceptance, pytest.mark.timeout(1800)]

REFERENCE = (ROOT / "docs" / "reference" / "scans.md").read_text()
EVERYTHING = {
    "consul": {"enabled": True},
    "gateway": {"enabled": True, "namespace": "one"},
    "namespaces": ["one"],
    "metrics": {"dashboard": {"enabled": True}},
}
IMAGES = ("runner", "operator", "consul")
_OFFLINE = ("--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet")


@pytest.fixture(scope="module")
def trivy(tmp_path_factory):
    program = str(clusters.programs("trivy") / "trivy")
    nowhere = {"TRIVY_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}

    def run(*words: str) -> set[tuple[str, str]]:
        """Give what is found: rule, and file or image."""
        done = subprocess.run(
            [program, *words, *_OFFLINE, "--format", "json"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | nowhere,
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)["Results"]
        return {
            (each.get("ID") or each["RuleID"], result["Target"])
            for result in results
            for kind in ("Misconfigurations", "Secrets")
            for each in result.get(kind, ())
        }

    return run


def answered() -> set[tuple[str, str]]:
    """Give what the reference has an answer to."""
    rows = re.findall(r"^\| `(KSV-\d+|DS-\d+)` \| (.+?) \| .{20,} \|$", REFERENCE, re.MULTILINE)
    return {(rule, place) for rule, places in rows for place in re.findall(r"`(\S+)`", places)}


def write_manifests(folder: Path) -> None:
    """Render the chart, one file an object."""
    values = folder.with_suffix(".json")
    values.write_text(json.dumps(EVERYTHING))
    helm = str(clusters.programs("helm") / "helm")
    chart = str(ROOT / "charts" / "factotum-operator")
    words = ("-n", "factotum-system", "-f", str(values), "--no-hooks")
    rendered = subprocess.run(
        [helm, "template", "factotum-operator", chart, *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    folder.mkdir()
    for manifest in filter(None, yaml.load_all(rendered, Loader=yaml.CSafeLoader)):
        name = f"{manifest['kind']}-{manifest['metadata']['name']}.yaml"
        with (folder / name).open("a") as file:  # of two namespaces, one name
            file.write("---\n" + yaml.safe_dump(manifest))


def test_every_finding_has_an_answer_and_every_answer_a_finding(trivy, tmp_path):
    write_manifests(tmp_path / "manifests")
    shutil.copytree(ROOT / "images", tmp_path / "images")
    in_manifests = trivy("config", str(tmp_path / "manifests"))
    in_dockerfiles = trivy("config", str(tmp_path / "images"))

    found = in_manifests | in_dockerfiles
    for name in IMAGES:  # as an OCI layout, which is what the archive holds
        with tarfile.open(ROOT / "build" / "images" / f"{name}.tar") as archive:
            archive.extractall(tmp_path / name, filter="data")
        words = ("--scanners", "secret,misconfig", "--image-config-scanners", "secret,misconfig")
        in_image = trivy("image", "--input", str(tmp_path / name), "--offline-scan", *words)
        found |= {(rule, place.removeprefix(f"{tmp_path}/")) for rule, place in in_image}

    print(*sorted(found), sep="\n")
    assert found == answered()


def test_what_is_bad_is_found(trivy, tmp_path):
    """So that a scanner that finds nothing in anything does not go unseen."""
    write_manifests(tmp_path / "manifests")
    deployment = tmp_path / "manifests" / "Deployment-factotum-operator.yaml"
    text = deployment.read_text()
    deployment.write_text(text.replace("readOnlyRootFilesystem: true", ""))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "settings").write_text("token = ghp_" + "a1B2" * 9 + "\n")

    assert ("KSV-0014", deployment.name) in trivy("config", str(tmp_path / "manifests"))
    assert trivy("rootfs", "--scanners", "secret", str(tmp_path)) == {
        ("github-pat", "etc/settings")
    }
