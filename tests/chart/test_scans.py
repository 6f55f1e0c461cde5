"""What a scanner finds in the rendered manifests has an answer in the reference.

Real: helm and kube-score.
"""

import json
import re
import subprocess

import pytest

from support.cluster import clusters
from support.cluster.clusters import ROOT

REFERENCE = (ROOT / "docs" / "reference" / "scans.md").read_text().partition("\n## By trivy")[0]
SETTINGS = {
    "plain": {},
    "everything": {
        "consul": {"enabled": True},
        "gateway": {"enabled": True, "namespace": "one"},
        "namespaces": ["one"],
        "metrics": {"dashboard": {"enabled": True}},
    },
}
_GOOD = 10


def found(manifests: str) -> set[tuple[str, str]]:
    """Give what kube-score finds: check, and name of the object."""
    program = str(clusters.programs("kube-score") / "kube-score")
    more = ("container-seccomp-profile", "container-ports-check")
    words = (
        *("score", "--output-format=json", "--kubernetes-version=v1.35"),
        *(f"--enable-optional-test={name}" for name in more),
        "-",
    )
    done = subprocess.run(
        [program, *words], input=manifests, capture_output=True, text=True, check=False
    )
    looked_at = json.loads(done.stdout)
    assert looked_at, done.stderr
    return {
        (check["check"]["id"], each["object_meta"]["name"])
        for each in looked_at
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < _GOOD
    }


def answered() -> set[tuple[str, str]]:
    """Give what the reference has an answer to."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| .{20,} \|$", REFERENCE, re.MULTILINE)
    return set(rows)


@pytest.fixture(scope="module")
def findings(template):
    return {name: found(template(values, "--no-hooks").stdout) for name, values in SETTINGS.items()}


def test_every_finding_has_an_answer_and_every_answer_a_finding(findings):
    assert findings["plain"] <= findings["everything"]
    assert findings["everything"] == answered()


def test_what_is_bad_is_found(template):
    """So that a scanner that finds nothing in anything does not go unseen."""
    text = template({}).stdout
    bad = text.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")

    assert bad != text
    assert ("container-security-context-readonlyrootfilesystem", "factotum-operator") in found(bad)
