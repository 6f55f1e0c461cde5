"""A real kubelet with our chart installed on it, shared by this folder's tests.

One machine has room for one node. NODE_CLUSTER=name uses a cluster that is up already instead of a
fresh one (images and chart are brought level first) and leaves it up.
"""

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.cluster import clusters
from support.cluster.clusters import CRD, ROOT, Cluster
from support.cluster.kube_api import KubeApi, is_done, jobs_path, pods_path

_NUMBERS = itertools.count(int(time.time()))
_IMAGES = ("runner", "operator", "consul")


def pytest_collection_modifyitems(items):
    """Mark what lies here: it needs a real kubelet and images."""
    for item in items:
        if "tests/node/" in item.path.as_posix():
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope="session")
def kubelet() -> Iterator[Cluster]:
    """A cluster with a real node, the operator and a Consul."""
    archives = [ROOT / "build" / "images" / f"{name}.tar" for name in _IMAGES]
    missing = [str(path) for path in archives if not path.exists()]
    assert not missing, f"no {missing}: run `make images`"
    with contextlib.ExitStack() as stack:
        if name := os.environ.get("NODE_CLUSTER"):
            cluster = clusters.existing(name)
        else:
            cluster = stack.enter_context(clusters.running("test-node", profile="node"))
        cluster.load(*map(str, archives))
        clusters.programs("helm")
        install(cluster)
        yield cluster


def install(cluster: Cluster, *values: str) -> None:
    """Bring the operator level with the chart, and with some values of its own."""
    cluster.run(
        "helm",
        *("upgrade", "--install", "factotum-operator", str(ROOT / "charts/factotum-operator")),
        *("--namespace", "factotum-system", "--create-namespace"),
        *("--set", "consul.enabled=true", "--set", "consul.image.repository=localhost/consul"),
        *("--set-string", "consul.image.tag=1.8.7"),
        *("--set-string", f"podAnnotations.build={int(time.time())}"),
        *(word for value in values for word in ("--set", value)),
        *("--wait", "--timeout", "120s"),
        timeout=150,
    )


@pytest.fixture(scope="module")
def copying_operator(kubelet: Cluster) -> Iterator[None]:
    """Have the operator copy the runner into jobs' own images, though the node could mount it."""
    install(kubelet, "runner.imageVolumes=never")
    yield
    install(kubelet)


@pytest.fixture(scope="session")
def bring_back(kubelet: Cluster) -> Callable[[], None]:
    """Install what the other tests rely on, where one has taken it away: images and operator."""

    def bring() -> None:
        kubelet.load(*(str(ROOT / "build" / "images" / f"{name}.tar") for name in _IMAGES))
        install(kubelet)

    return bring


@pytest.fixture(scope="module")
def without_release(kubelet: Cluster) -> Iterator[None]:
    """Take away everything of the release that the tests share, and bring it back."""
    kubelet.run("helm", "uninstall", "factotum-operator", "-n", "factotum-system", "--wait")
    for what in (f"crd/{CRD}", "namespace/factotum-system"):
        kubelet.kubectl("delete", what, timeout=150)
    yield
    install(kubelet)


@pytest.fixture(scope="session")
def api(kubelet: Cluster) -> Iterator[KubeApi]:
    """Its API, asked without a kubectl per question."""
    made = KubeApi(kubelet.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def namespace(api: KubeApi, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that admits restricted Pods only."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:30].strip('-')}-{next(_NUMBERS)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


Done = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def done(api: KubeApi) -> Done:
    """Wait until a job is DONE and return it."""

    def wait(namespace: str, name: str = "job", seconds: int = 90) -> dict[str, Any]:
        return api.wait_for(jobs_path(namespace, name), is_done, "DONE", seconds=seconds)

    return wait


@pytest.fixture(scope="session")
def pod_log(api: KubeApi) -> Callable[[dict[str, Any]], str]:
    """Read the log of a finished job's Pod."""

    def has_ended(pod: dict[str, Any]) -> bool:
        told = pod["status"].get("containerStatuses") or [{}]
        return "terminated" in told[0].get("state", {})

    def read(job: dict[str, Any]) -> str:
        path = pods_path(job["metadata"]["namespace"], job["status"]["claim"]["podName"])
        # The verdict may be here before the kubelet has told of the container's start.
        api.wait_for(path, has_ended, "ended")
        return api.text(f"{path}/log")

    return read
