"""What the definition has of a Pod is what the operator judges, and ends somewhere. Pure."""

import pytest
import yaml

from factotum.controller.pod_template import fields
from support.cluster.clusters import ROOT


@pytest.fixture(scope="module")
def spec():
    """The schema of ``podTemplate.spec``."""
    text = (ROOT / "crds" / "factotumjobs.yaml").read_text()
    crd = yaml.load(text, Loader=yaml.CSafeLoader)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema["properties"]["spec"]["properties"]["podTemplate"]["properties"]["spec"]


def test_each_field_that_is_judged_is_known(spec):
    assert fields.OF_SPEC | fields.FIXED_OF_SPEC.keys() <= spec["properties"].keys()
    for kind in ("containers", "initContainers"):
        container = spec["properties"][kind]["items"]["properties"]
        assert container.keys() == fields.OF_RUNNER | fields.FIXED_OF_RUNNER.keys()


def test_nothing_in_it_may_be_anything(spec):
    left = [spec]
    while left:
        each = left.pop()
        assert "x-kubernetes-preserve-unknown-fields" not in each
        assert "type" in each or each.get("x-kubernetes-int-or-string"), each
        assert "default" not in each
        left += each.get("properties", {}).values()
        left += (each[inner] for inner in ("items", "additionalProperties") if inner in each)
