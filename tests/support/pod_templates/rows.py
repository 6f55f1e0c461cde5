"""How a row of the tables is written: what is laid over a job's Pod, and where it shows."""

from collections.abc import Callable
from typing import Any, NamedTuple

from factotum.controller.facts.observed import AnyNode, HostFact
from factotum.kube import names

Pod = dict[str, Any]
ACCOUNT, CLASS = "loader", "jobs"
"""Objects that must be there for a Pod that names them: a ServiceAccount; a class of any kind."""
IMAGE = "registry.example/tools:7"


class Merge(NamedTuple):
    """What may be asked, and where it shows.

    Attributes:
        spec: fields of the job.
        found: what the Pod is asked, and must answer.
        host: the Node of its host constraint.
    """

    name: str
    spec: dict[str, Any]
    found: Callable[[Pod], Any]
    expected: Any
    host: HostFact = AnyNode()


class Refusal(NamedTuple):
    """What may not be asked: the field that is named, and words of the cure."""

    name: str
    spec: dict[str, Any]
    path: str
    words: str


def over(**spec: Any) -> dict[str, Any]:
    """Lay a spec over the Pod."""
    return {"podTemplate": {"spec": spec}}


def runner(**fields: Any) -> dict[str, Any]:
    """Lay something over the container of the tasks."""
    return over(containers=[{"name": "factotum"} | fields])


def before(**fields: Any) -> dict[str, Any]:
    """Have one more init container."""
    return over(initContainers=[{"name": "fetch", "image": IMAGE, "command": ["fetch"]} | fields])


def beside(**fields: Any) -> dict[str, Any]:
    """Have a native sidecar."""
    return before(**({"name": "proxy", "restartPolicy": "Always"} | fields))


def metadata(**fields: Any) -> dict[str, Any]:
    """Lay something over the Pod's metadata."""
    return {"podTemplate": {"metadata": fields}}


def of_runner(pod: Pod, field: str, default: Any = None) -> Any:
    """Read a field of the container of the tasks."""
    (container,) = (c for c in pod["spec"]["containers"] if c["name"] == names.RUNNER_CONTAINER)
    return container.get(field, default)


def variables(pod: Pod) -> dict[str, Any]:
    """Read the variables that are meant for the tasks."""
    given = of_runner(pod, "env")
    prefix = "FACTOTUM_TASK_"
    return {
        v["name"].removeprefix(prefix): v.get("value", v.get("valueFrom"))
        for v in given
        if v["name"].startswith(prefix)
    }


def mounts(pod: Pod, container: Any = None) -> dict[str, str]:
    """Read which volume is where in a container, the one of the tasks if none is given."""
    given = (container or {"volumeMounts": of_runner(pod, "volumeMounts")}).get("volumeMounts", ())
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    return {m["mountPath"]: m["name"] for m in given if m["mountPath"] != account}


def volume(pod: Pod, name: str) -> Any:
    """Read a volume's source."""
    (found,) = (v for v in pod["spec"]["volumes"] if v["name"] == name)
    return {kind: source for kind, source in found.items() if kind != "name"}


def init(pod: Pod, number: int = 0) -> Any:
    """Read an init container."""
    return pod["spec"]["initContainers"][number]


def of_spec(field: str) -> Callable[[Pod], Any]:
    """Read a field of the spec."""
    return lambda pod: pod["spec"].get(field)


def of_context(field: str) -> Callable[[Pod], Any]:
    """Read a field of the security context of the container of the tasks."""
    return lambda pod: of_runner(pod, "securityContext").get(field)
