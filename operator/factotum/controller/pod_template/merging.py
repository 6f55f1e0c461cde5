"""How a template is laid over a Pod. Pure.

JSON merge (RFC 7396): objects are merged, everything else is replaced, null takes away. Lists
whose entries have names are merged by these instead, and a request and a limit stay together.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from factotum.kube import names

Template = Mapping[str, Any]
"""Metadata (labels, annotations) and spec, as in a Pod."""
Entry = Mapping[str, Any]
Join = Callable[[Any, Any], Any]


def overlaid(pod: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """Return a Pod with one more template over it, which was judged."""
    given = {key: part for key in ("metadata", "spec") if (part := template.get(key))}
    return _merged(pod, given, {"spec": _spec})


def _merged(
    lower: object, upper: Mapping[str, Any], special: Mapping[str, Join] | None = None
) -> dict[str, Any]:
    """Merge an object over another one.

    Args:
        special: how to join the fields that are not merged as JSON is.
    """
    made = dict(lower) if isinstance(lower, Mapping) else {}
    for key, value in upper.items():
        if value is None:
            made.pop(key, None)
        elif special is not None and key in special:
            made[key] = special[key](made.get(key), value)
        elif isinstance(value, Mapping):
            made[key] = _merged(made.get(key), value)
        else:
            made[key] = value
    return made


def _spec(lower: object, upper: Mapping[str, Any]) -> dict[str, Any]:
    return _merged(lower, upper, _OF_SPEC)


def _container(lower: Entry | None, upper: Entry) -> dict[str, Any]:
    # One that is new begins as restricted as ours.
    return _merged(lower or {"securityContext": STRICT}, upper, _OF_CONTAINER)


def _by(key: str, join: Callable[[Entry | None, Entry], Entry]) -> Join:
    """Join lists by what their entries have under a key; new ones follow the others."""

    def joined(lower: Sequence[Entry] | None, upper: Sequence[Entry]) -> list[Entry]:
        made = {entry[key]: entry for entry in lower or ()}
        for entry in upper:
            made[entry[key]] = join(made.get(entry[key]), entry)
        return list(made.values())

    return joined


def _replaced(_: Entry | None, upper: Entry) -> Entry:
    return upper


def _mounts(lower: Sequence[Entry] | None, upper: Sequence[Entry]) -> list[Entry]:
    def place(mount: Entry) -> str:
        return str(mount["mountPath"]).rstrip("/") or "/"

    made = {place(mount): mount for mount in (*(lower or ()), *upper)}
    return list(made.values())


def _following(lower: Sequence[Any] | None, upper: Sequence[Any]) -> list[Any]:
    return [*(lower or ()), *upper]


def _resources(lower: Mapping[str, Any] | None, upper: Mapping[str, Any]) -> dict[str, Any]:
    """Join what is asked for: request and limit of one resource come from the same place.

    Else a limit might meet a request that it is smaller than, of somebody who did not know of it.
    """
    told = {name for part in _PARTS for name in upper.get(part) or ()}
    rest = {
        part: {name: amount for name, amount in of_part.items() if name not in told}
        for part in _PARTS
        if (of_part := (lower or {}).get(part))
    }
    others = {key: value for key, value in (lower or {}).items() if key not in _PARTS}
    return {key: part for key, part in _merged(others | rest, upper).items() if part != {}}


STRICT: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The security context of each container that says nothing else."""
_PARTS: Final = ("requests", "limits")
_OF_CONTAINER: Final[Mapping[str, Join]] = {
    "env": _by("name", _replaced),
    "envFrom": _following,
    "resources": _resources,
    "volumeMounts": _mounts,
}
_OF_SPEC: Final[Mapping[str, Join]] = {
    "containers": _by("name", _container),
    "imagePullSecrets": _by("name", _replaced),
    "initContainers": _by("name", _container),
    "volumes": _by("name", _replaced),
}


def shorthands(spec: Mapping[str, Any]) -> Template:
    """Return the fields of a job that say something of its Pod, as a template."""
    made = {key: spec[key] for key in _SHORTHANDS if spec.get(key)}
    of_container = {key: spec[key] for key in ("envFrom", "resources") if spec.get(key)}
    if of_container:
        made["containers"] = [{"name": names.RUNNER_CONTAINER} | of_container]
    return {"spec": made} if made else {}


_SHORTHANDS: Final = ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations")
