"""The chart as it is released names the images that were pushed, by digest.

Real: helm packages it and renders it.
"""

import importlib.util
import tarfile

import pytest
import yaml

from support.cluster import clusters
from support.cluster.clusters import ROOT

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "factotum-operator"
OPERATOR, RUNNER = (f"sha256:{digit * 64}" for digit in "ab")
PUSHED = f"""\
factotum-runner registry.example.org:5000/me/factotum-runner {RUNNER}
factotum-operator registry.example.org:5000/me/factotum-operator {OPERATOR}
"""


@pytest.fixture
def program(monkeypatch, tmp_path):
    """The program that packages it, into a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("packaged", ROOT / "hack/packaged_chart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "OUT", tmp_path / "chart")
    monkeypatch.setattr(module, "DIGESTS", tmp_path / "digests")
    monkeypatch.setenv("PATH", str(clusters.programs("helm")), prepend=":")
    return module


def leaves(values, path=()):
    if isinstance(values, dict) and values:
        return {
            k: v for key, value in values.items() for k, v in leaves(value, (*path, key)).items()
        }
    return {path: values}


def test_it_differs_from_the_chart_in_the_images_alone(program, helm, tmp_path):
    program.DIGESTS.write_text(PUSHED)

    assert program.main() == 0

    (package,) = (tmp_path / "chart").glob("factotum-operator-*.tgz")
    with tarfile.open(package) as content:
        text = content.extractfile("factotum-operator/values.yaml").read().decode()
        others = {m.name for m in content if m.name.count("/") > 0}
    before = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    after = leaves(yaml.safe_load(text))
    assert after.keys() == before.keys()
    assert {k: v for k, v in after.items() if v != before[k]} == {
        ("image", "repository"): "registry.example.org:5000/me/factotum-operator",
        ("image", "digest"): OPERATOR,
        ("runner", "image", "repository"): "registry.example.org:5000/me/factotum-runner",
        ("runner", "image", "digest"): RUNNER,
    }
    assert "factotum-operator/values.schema.json" in others
    rendered = helm("template", "factotum-operator", str(package), "-n", "x")
    assert rendered.returncode == 0, rendered.stderr
    assert f"/factotum-operator@{OPERATOR}" in rendered.stdout
    assert f"/factotum-runner@{RUNNER}" in rendered.stdout


@pytest.mark.parametrize(
    ("pushed", "words"),
    [
        (None, "make push"),
        (PUSHED.splitlines()[0], "factotum-operator was not pushed"),
    ],
)
def test_without_images_there_is_no_chart_and_the_cure_is_named(program, capsys, pushed, words):
    if pushed is not None:
        program.DIGESTS.write_text(pushed)

    assert program.main() == 1
    assert words in capsys.readouterr().err
    assert not program.OUT.exists()
