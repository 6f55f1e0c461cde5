"""What is compared: ways to have a command run on a cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cluster import ROOT, pods
from support.builders.factfiles import SCHEMA, task

GROUP = "factotum.snowplowanalytics.com/v1alpha1"
IMAGE = "localhost/factotum-runner:0.1.0"


class Kind(NamedTuple):
    """A kind of object that stands for one piece of work.

    Attributes:
        root: the path of its API.
        plural: its name there.
        ended: selects, roughly, those that have ended.
    """

    root: str
    plural: str
    ended: str

    def path(self, namespace: str) -> str:
        """Give the path of a namespace's objects."""
        return f"{self.root}/namespaces/{namespace}/{self.plural}"


FACTOTUM = Kind(f"/apis/{GROUP}", "factotumjobs", "status.state%3DDONE")
NATIVE = Kind("/apis/batch/v1", "jobs", "status.successful%3D1")
POD = Kind("/api/v1", "pods", "status.phase%3DSucceeded")
OPEN_GROUP = "open.bench.factotum.example"
OPEN = Kind(f"/apis/{OPEN_GROUP}/v1", "openjobs", FACTOTUM.ended)
"""As FactotumJobs, but the API server is told nothing of their fields, and so checks none."""


class Operator(NamedTuple):
    """An operator to measure: a checkout with its `.venv`."""

    name: str
    checkout: Path

    @property
    def programs(self) -> Path:
        """Where its program is."""
        return self.checkout / ".venv" / "bin"


HERE = Operator("", ROOT)


class Side(NamedTuple):
    """One party of a comparison.

    Attributes:
        label: how it is called in tables.
        kind: what is made of it.
        tasks: of one object.
        consul: whether the operator mirrors into Consul.
        token: whether a Pod has the usual token of its service account.
        operator: which one, if any.
        shared: whether all jobs have one job id, and run beside each other.
        same_pod: whether its Pod is the one that the operator makes, with all that hardens it.
        floor: whether `floor` brings it to its end, and no operator.
    """

    label: str
    kind: Kind
    tasks: int = 1
    consul: bool = False
    token: bool = False
    operator: Operator | None = None
    shared: bool = False
    same_pod: bool = False
    floor: bool = False

    def manifest(self, name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Build one object."""
        metadata = {"name": name, "labels": dict(labels or {})}
        if self.kind in (FACTOTUM, OPEN):
            spec: dict[str, Any] = {"factfile": factfile(self.tasks)}
            if self.shared:
                spec["duplicatePolicy"] = "Allow"
            else:
                spec["tags"] = {"number": name}
            is_ours = self.kind is FACTOTUM
            return {
                "apiVersion": GROUP if is_ours else f"{OPEN_GROUP}/v1",
                "kind": "FactotumJob" if is_ours else "OpenJob",
                "metadata": metadata,
                "spec": spec,
            }
        if self.kind is POD:
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
            return pod | {"spec": self._pod_spec()}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        template = pods.template(IMAGE) if self.same_pod else {"spec": self._pod_spec()}
        return job | {"spec": {"backoffLimit": 0, "template": template}}

    def _pod_spec(self) -> dict[str, Any]:
        return {
            "restartPolicy": "Never",
            "automountServiceAccountToken": self.token,
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "command": ["true"],
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                }
            ],
        }


def factfile(tasks: int) -> dict[str, Any]:
    """Build a factfile: one task, or a first one, some beside each other, and a last one."""
    names = [f"t{number}" for number in range(tasks)]
    made = [task(names[0], "true")]
    made += [task(name, "true", after=names[:1]) for name in names[1:-1]]
    if tasks > 1:
        made.append(task(names[-1], "true", after=names[1:-1] or names[:1]))
    return {"schema": SCHEMA, "data": {"name": f"benchmark of {tasks}", "tasks": made}}


BASE = "native Job"
_PLAIN = {
    "native": Side(BASE, NATIVE),
    "native-token": Side("native Job with a token", NATIVE, token=True),
    "native-same-pod": Side("native Job with our Pod", NATIVE, same_pod=True),
    "bare": Side("bare Pod", POD),
    "floor": Side("floor", FACTOTUM, floor=True),
    "floor-open": Side("floor, no schema", OPEN, floor=True),
}
_OURS = {
    "factotum": Side("FactotumJob", FACTOTUM),
    "factotum-consul": Side("FactotumJob, Consul", FACTOTUM, consul=True),
    "ten-tasks": Side("FactotumJob of 10 tasks", FACTOTUM, tasks=10),
    "ten-tasks-consul": Side("FactotumJob of 10 tasks, Consul", FACTOTUM, tasks=10, consul=True),
}
NAMES = (*_OURS, *_PLAIN)


def of_operator(side: Side, operator: Operator) -> Side:
    """Give the same side with an operator."""
    label = f"{side.label} ({operator.name})" if operator.name else side.label
    return side._replace(label=label, operator=operator)


def find(names: Sequence[str], operators: Sequence[Operator] = (HERE,)) -> list[Side]:
    """Give the sides of these names; those that need an operator once for each.

    Raises:
        KeyError: there is no such side.
    """
    found: list[Side] = []
    for name in names:
        if name in _PLAIN:
            found.append(_PLAIN[name])
        else:
            found += [of_operator(_OURS[name], operator) for operator in operators]
    return found
