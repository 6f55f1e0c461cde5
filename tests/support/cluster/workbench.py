"""What a test against the API server works with: a namespace, operators for it, jobs in it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from support.builders.manifests import make_job
from support.cluster.jobs_on_file import RunBook
from support.cluster.kube_api import ApiRefusedError, KubeApi, RawObject, jobs_path, pods_path
from support.cluster.operator_process import (
    PROGRAMS,
    Installation,
    OperatorProcess,
    running_test_node,
)
from support.cluster.pod_side import PodSide
from support.http.proxies import Proxy

MANUAL = "fake-3"
"""A node that no test node plays: Pods there do what the test says in their name."""
PLAYED = ("fake-1", "fake-2")


def clear(api: KubeApi, namespace: str) -> None:
    """Take away what others would play or run.

    The rest of the namespace goes with the cluster: to look for all kinds of objects in it, as its
    deletion does, costs as much as a test.
    """
    api.delete(jobs_path(namespace))
    api.delete(pods_path(namespace), grace=0)
    with contextlib.suppress(ApiRefusedError):  # no definition, no jobs
        for job in api.items(jobs_path(namespace)):
            if job["metadata"].get("finalizers"):  # whoever was to take it off has ended
                path = jobs_path(namespace, job["metadata"]["name"])
                api.patch(path, {"metadata": {"finalizers": None}})


class Workbench:
    """A namespace of one test's own and its helpers; what runs in it ends with the test."""

    def __init__(self, installation: Installation, namespace: str, folder: Path) -> None:
        self.installation = installation
        self.api: KubeApi = installation.api
        self.namespace = namespace
        self.folder = folder
        self.book = RunBook(folder / "runs")

    def __enter__(self) -> Self:
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        self.api.wait_for(account, lambda _: True, "there")
        self.installation.give_up_lease()
        return self

    def __exit__(self, *_: object) -> None:
        clear(self.api, self.namespace)

    def operator(self, *flags: str, name: str = "operator", **options: Any) -> OperatorProcess:
        """Prepare an operator for this namespace alone."""
        return OperatorProcess(
            self.installation,
            self.folder / name,
            f"--namespace={self.namespace}",
            *flags,
            programs=PROGRAMS if options.get("prefix") else None,
            **options,
        )

    @contextlib.contextmanager
    def nodes(self, *names: str) -> Iterator[None]:
        """Have nodes played."""
        folder = self.folder / "nodes"
        with running_test_node(self.installation, folder, *(names or PLAYED), is_forked=True):
            yield

    def api_proxy(self) -> Proxy:
        """Prepare a proxy before the API server."""
        host, port = self.api.server.removeprefix("https://").split(":")
        return Proxy(host, int(port), tls=self.api.tls_without_identity())

    def create(self, factfile: Any = None, *, name: str = "job", **spec: Any) -> str:
        """Create a job that runs on the played nodes, and return its UID."""
        spec.setdefault("constraints", {"host": PLAYED[0]})
        made = self.api.create_job(make_job(self.namespace, factfile, name=name, **spec))
        return str(made["metadata"]["uid"])

    def create_by_hand(self, factfile: Any = None, **spec: Any) -> str:
        """Create a job whose Pod nobody plays, and return its UID."""
        return self.create(factfile, constraints={"host": MANUAL}, **spec)

    def pod_side(self, operator: OperatorProcess, uid: str) -> PodSide:
        """Wait for a job's Pod and be its runner."""
        return self.pod_side_of(operator, self.api.wait_pod(self.namespace, uid))

    def pod_side_of(self, operator: OperatorProcess, pod: RawObject) -> PodSide:
        """Be the runner of a Pod."""
        return PodSide(self.api, pod, operator.claims)

    def uid(self, name: str = "job") -> str:
        """Return a job's UID."""
        return str(self.api.job(self.namespace, name)["metadata"]["uid"])

    def done(self, name: str = "job", *, seconds: float = 60.0) -> RawObject:
        """Wait for a job's end and return its status."""
        return self.api.wait_done(self.namespace, name, seconds=seconds)

    def status(self, name: str = "job") -> RawObject:
        """Return a job's status as it is."""
        return dict(self.api.job(self.namespace, name).get("status") or {})


def states(status: RawObject) -> dict[str, str]:
    """Give each task's state by its name."""
    return {task["name"]: task["state"] for task in status["tasks"]}
