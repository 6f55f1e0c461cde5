"""The control plane with our custom resource definition in it, and a namespace for each test."""

import itertools
import re
from collections.abc import Iterator

import pytest

from support.clusters import ROOT, Cluster

_NUMBERS = itertools.count(1)
CRD = ROOT / "crds" / "factotumjobs.yaml"


@pytest.fixture(scope="session")
def api(control_plane) -> Cluster:
    """An API server that knows FactotumJobs."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CRD))
    control_plane.kubectl("wait", "--for=condition=Established", "-f", str(CRD))
    return control_plane


@pytest.fixture
def namespace(api, request) -> Iterator[str]:
    """A namespace of the test's own."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_NUMBERS)}"
    api.kubectl("create", "namespace", name)
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")
