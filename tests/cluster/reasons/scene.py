"""Where one reason is brought about: a job of its own, and hands for whom nobody plays.

Real: the API server with its controllers and scheduler, the operator's process, runners on the
nodes that a test node plays. On the node that nobody plays the test is kubelet and runner.
"""

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from cluster.reasons.kubelet import Kubelet
from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import RawObject, jobs_path, pods_path
from support.cluster.operator_process import OperatorProcess
from support.cluster.pod_side import PodSide
from support.cluster.workbench import MANUAL, PLAYED, Workbench

CLAIM = "c" * 32
_T = TypeVar("_T")


def slug_of(reason: str) -> str:
    """Turn a reason into a part of a name: OOMKilled into oom-killed."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z]+|[A-Z]+", reason)
    return "-".join(words).lower()


class Scene:
    """What one case works with.

    Attributes:
        name: of the job that is to come to the reason.
        namespace: the one that all share, or one of the case's own.
        operator: the one that is at work.
    """

    def __init__(self, bench: Workbench, namespace: str, name: str) -> None:
        self.bench, self.api = bench, bench.api
        self.namespace, self.name = namespace, name
        self._stack = contextlib.ExitStack()
        self._operators: list[OperatorProcess] = []

    # --- what lasts as long as it is looked at ----------------------------------------

    def during(self, context: contextlib.AbstractContextManager[_T]) -> _T:
        """Have something until the tools were asked about the job."""
        return self._stack.enter_context(context)

    def close(self) -> None:
        """Undo what was only for the time of this."""
        self._stack.close()

    @property
    def operator(self) -> OperatorProcess:
        """The operator that is at work."""
        return self._operators[-1]

    def meet(self, operator: OperatorProcess) -> None:
        """Have another operator at work."""
        self._operators.append(operator)

    # --- jobs -------------------------------------------------------------------------

    def factfile(self, command: str = "true", **fields: Any) -> Any:
        """Build a factfile of one task, which no other case has; the task notes its start."""
        task = make_task("a", command=f"{self.note}; {command}", arguments=[], **fields)
        return make_factfile(data={"name": self.name, "tasks": [task]})

    @property
    def note(self) -> str:
        """A command that writes a start of this job down."""
        return self.bench.book.note(self.name, "a")

    def create(self, command: str = "true", *, host: str = PLAYED[0], **more: Any) -> str:
        """Create the job, or with a name one beside it, and return its name.

        It runs on a node that is played, if no other host is said. A factfile is made for it
        if it is given none.
        """
        name, finalizers = more.pop("name", self.name), more.pop("finalizers", None)
        if "factfileFrom" not in more:
            more.setdefault("factfile", self.factfile(command))
        job = make_job(self.namespace, name=name, constraints={"host": host}, **more)
        if finalizers:
            job["metadata"]["finalizers"] = finalizers
        self.api.create_job(job)
        return name

    def create_by_hand(self, **more: Any) -> str:
        """Create the job where this test is kubelet and runner."""
        return self.create(host=MANUAL, **more)

    def path(self, name: str = "") -> str:
        """Return the path of the job, or of one beside it."""
        return jobs_path(self.namespace, name or self.name)

    def job(self, name: str = "") -> RawObject:
        """Read the job."""
        return self.api.get(self.path(name))

    def uid(self, name: str = "") -> str:
        """Return the job's UID."""
        return str(self.job(name)["metadata"]["uid"])

    def desire(self, word: str) -> None:
        """Change what is desired of the job."""
        self.api.patch(self.path(), {"spec": {"desiredState": word}})

    def wait_reason(self, reason: str, *, seconds: float = 60.0) -> RawObject:
        """Wait until the job gives a reason, of its spec as it is now."""

        def gives(job: RawObject) -> bool:
            status = job.get("status") or {}
            is_observed = status.get("observedGeneration") == job["metadata"]["generation"]
            return status.get("reason") == reason and is_observed

        return self.api.wait_for(self.path(), gives, reason, seconds=seconds)

    def wait_running(self) -> None:
        """Wait until the job's task has noted its start."""
        self.wait_until(lambda: bool(self.bench.book.counts()[self.name, "a"]), "running")

    def wait_until(
        self, condition: Callable[[], bool], what: str, *, seconds: float = 30.0
    ) -> None:
        """Wait for something."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} is not {what} after {seconds:g} s")
            time.sleep(0.05)

    # --- its Pods ---------------------------------------------------------------------

    def pod(self) -> RawObject:
        """Wait for the job's Pod that has not ended, bound to a node."""
        uid = self.uid()

        def alive() -> list[RawObject]:
            pods = self.api.pods_of(self.namespace, uid)
            return [p for p in pods if p["status"].get("phase") in ("Pending", "Running")]

        self.wait_until(lambda: bool(alive()), "given a Pod")
        path = pods_path(self.namespace, alive()[-1]["metadata"]["name"])
        return self.api.wait_for(path, lambda pod: bool(pod["spec"].get("nodeName")), "bound")

    def kubelet(self) -> Kubelet:
        """Be the kubelet of the job's Pod."""
        return Kubelet(self.api, self.pod())

    def runner(self) -> PodSide:
        """Be the runner of the job's Pod."""
        return PodSide(self.api, self.pod(), self.operator.claims)

    def claimed(self) -> PodSide:
        """Be the runner of the job's Pod, and claim the job."""
        runner = self.runner()
        code, answer = runner.claim(CLAIM)
        assert code == 200, answer
        return runner

    def delete_pod(self, *, grace: int | None = None) -> None:
        """Delete the job's Pod."""
        self.api.delete(pods_path(self.namespace, self.pod()["metadata"]["name"]), grace=grace)

    # --- what is around it ------------------------------------------------------------

    def collection(self, kind: str) -> str:
        """Return the path of a kind of object of this namespace."""
        return f"/api/v1/namespaces/{self.namespace}/{kind}"

    def put(self, kind: str, name: str, **fields: Any) -> None:
        """Create an object of this namespace, or change it."""
        path, body = self.collection(kind), {"metadata": {"name": name}} | fields
        if self.api.find(f"{path}/{name}"):
            self.api.patch(f"{path}/{name}", body)
        else:
            self.api.create(path, body)
