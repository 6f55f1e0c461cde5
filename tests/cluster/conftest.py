"""Fixtures of the tests against a real API server: an operator and nodes that are processes."""

import itertools
import re
from collections.abc import Iterator

import pytest

from support.kube_api import KubeApi
from support.operator_process import Installation
from support.workbench import Workbench

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def api(installation: Installation) -> KubeApi:
    """The API server that has our chart."""
    return installation.api


@pytest.fixture
def bench(installation, tmp_path, request) -> Iterator[Workbench]:
    """A namespace of the test's own, and what is needed to run operators for it."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    namespace = f"{words[:40].strip('-')}-{next(_NUMBERS)}"
    with Workbench(installation, namespace, tmp_path) as made:
        yield made


def pytest_collection_modifyitems(items):
    """Mark what lies here: it needs a real API server."""
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)
