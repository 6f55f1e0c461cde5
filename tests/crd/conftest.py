"""A namespace for each test, on the API server that knows FactotumJobs."""

import itertools
import re
from collections.abc import Iterator

import pytest

from support.cluster.clusters import Cluster

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def api(job_api: Cluster) -> Cluster:
    """An API server that knows FactotumJobs."""
    return job_api


@pytest.fixture
def namespace(api, request) -> Iterator[str]:
    """A namespace of the test's own."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_NUMBERS)}"
    api.kubectl("create", "namespace", name)
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")
