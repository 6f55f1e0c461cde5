"""A namespace for each test, on the API server that knows FactotumJobs."""

import itertools
import re
from collections.abc import Iterator

import pytest

from support.cluster.clusters import Cluster
from support.cluster.kube_api import KubeApi

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def api(job_api: Cluster) -> Cluster:
    """An API server that knows FactotumJobs."""
    return job_api


@pytest.fixture(scope="session")
def asked(api) -> Iterator[KubeApi]:
    """The same, asked without a kubectl per question."""
    made = KubeApi(api.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def namespace(asked, request) -> str:
    """A namespace of the test's own, which goes with the API server: nothing runs in it."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_NUMBERS)}"
    asked.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name
