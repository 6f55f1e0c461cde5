"""What is wrong with a template, each with its path and what to do instead. Pure.

Two kinds of rules: what keeps the promises of the API, for everybody; and what keeps a job's Pod
restricted, for jobs alone. Who installs the operator may do everything in the cluster anyway, so
the defaults of all jobs may loosen what a job's own template may not.

Where a template has another shape than a Pod, that is told too, so that to lay it over one never
fails. What else the API server knows of Pods, it says itself when the Pod is made.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from factotum.controller.pod_template import restrictions
from factotum.controller.pod_template.fields import (
    FIXED_OF_INIT,
    FIXED_OF_RUNNER,
    FIXED_OF_SPEC,
    OF_INIT,
    OF_RUNNER,
    OF_SPEC,
    Fixed,
)
from factotum.controller.pod_template.places import CONTAINERS, VOLUMES, is_our_key, is_our_path
from factotum.controller.pod_template.restrictions import Violation
from factotum.controller.pod_template.shape import WORD, misshapen
from factotum.kube import names

ROOT: Final = "spec.podTemplate"
GRACE_SECONDS: Final = 30
"""What a Pod gets to end: the tasks' grace, and time to tell of it."""
_MOST: Final = 50
MOST_TOLD: Final = 5
"""As many violations of one template are told at once."""
_SECOND: Final = (
    "a Pod only ends when all of its containers end: make it a native sidecar, which ends with the"
    " runner: an entry of initContainers with restartPolicy Always. The tasks run in the container"
    f" {names.RUNNER_CONTAINER}"
)


class Bounds(NamedTuple):
    """What the operator's own settings keep from the templates of jobs.

    Attributes:
        audience: of the runner's token.
        reserved: init containers of the defaults that have more than a job may have: a job that
            could say what they run would have it too.
    """

    audience: str
    reserved: frozenset[str] = frozenset()


def bounds_of(audience: str, defaults: Iterable[Mapping[str, Any]]) -> Bounds:
    """Return what templates of jobs are kept from beside defaults that were judged."""
    beside = [c for each in defaults for c in (each.get("spec") or {}).get("initContainers", ())]
    loose = (c["name"] for c in beside if any(restrictions.of_container(c, "")))
    return Bounds(audience, frozenset(loose))


def objection(spec: Mapping[str, Any], bounds: Bounds) -> str:
    """Say in a sentence what a job's template may not ask for; empty: nothing.

    Args:
        spec: of the job.
        bounds: by the operator's settings.
    """
    found = list(islice(of_job(spec, bounds), MOST_TOLD + 1))
    told = "; ".join(f"{path}: {words}" for path, words in found[:MOST_TOLD])
    return f"{told}; and more" if len(found) > MOST_TOLD else told


def of_job(spec: Mapping[str, Any], bounds: Bounds) -> Iterator[Violation]:
    """List what is wrong with a job's template, if it has one."""
    template = spec.get("podTemplate")
    return iter(()) if template is None else violations(template, bounds)


def violations(
    template: object, bounds: Bounds, *, root: str = ROOT, is_default: bool = False
) -> Iterator[Violation]:
    """List what is wrong with a template.

    Args:
        template: as somebody wrote it, of any shape.
        bounds: by the operator's settings.
        root: what its place is called.
        is_default: it is laid over all jobs, by who installs the operator.
    """
    wrong = list(islice(misshapen(template, root), _MOST))
    if wrong:
        yield from wrong
        return
    assert isinstance(template, Mapping)  # noqa: S101 - for the type checker
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    yield from _keys(metadata, root)
    yield from _spec(spec, f"{root}.spec", bounds, is_default=is_default)
    if not is_default:
        yield from restrictions.of_pod(metadata, spec, root)


def _keys(metadata: Mapping[str, Any], root: str) -> Iterator[Violation]:
    for kind in ("labels", "annotations"):
        for key in metadata.get(kind) or ():
            if is_our_key(key):
                words = "the operator tells its Pods by it: use another key"
                yield f'{root}.metadata.{kind}["{key:.{WORD}}"]', words


def _fields(
    holder: Mapping[str, Any],
    allowed: frozenset[str],
    fixed: Mapping[str, Fixed],
    path: str,
) -> Iterator[Violation]:
    for field in sorted(holder):
        if field in fixed:
            if holder[field] not in fixed[field].values:
                yield f"{path}.{field}", fixed[field].words
        elif field not in allowed:
            words = "no field of a Pod that this version of the operator knows: leave it out"
            yield f"{path}.{field:.{WORD}}", words


def _spec(
    spec: Mapping[str, Any], path: str, bounds: Bounds, *, is_default: bool
) -> Iterator[Violation]:
    yield from _fields(spec, OF_SPEC, FIXED_OF_SPEC, path)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or grace < GRACE_SECONDS):
        words = (
            f"the tasks need time to end, and the runner to tell of it: at least {GRACE_SECONDS},"
            " or leave it out"
        )
        yield f"{path}.terminationGracePeriodSeconds", words
    for number, volume in enumerate(spec.get("volumes", ())):
        where = f"{path}.volumes[{number}]"
        if volume["name"] in VOLUMES:
            yield f"{where}.name", f"the runner has a volume {volume['name']}: use another name"
        elif is_default:
            yield from restrictions.of_projected(volume, where, bounds.audience)
        else:
            yield from restrictions.of_volume(volume, where, bounds.audience)
    for kind in ("containers", "initContainers"):
        for number, container in enumerate(spec.get(kind, ())):
            where = f"{path}.{kind}[{number}]"
            yield from (_main if kind == "containers" else _init)(container, where)
            if not is_default and kind == "initContainers" and container["name"] in bounds.reserved:
                words = "the operator's defaults give this one more than a job may have"
                yield f"{where}.name", f"{words}: use another name"
            if not is_default:
                yield from restrictions.of_container(container, where)


def _main(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    if container["name"] != names.RUNNER_CONTAINER:
        yield path, _SECOND
        return
    yield from _fields(container, OF_RUNNER, FIXED_OF_RUNNER, path)
    for number, mount in enumerate(container.get("volumeMounts", ())):
        if is_our_path(mount["mountPath"]):
            words = "the runner has something of its own there: mount it elsewhere"
            yield f"{path}.volumeMounts[{number}].mountPath", words
    for number, device in enumerate(container.get("volumeDevices") or ()):
        if isinstance(device, Mapping) and is_our_path(str(device.get("devicePath", ""))):
            words = "the runner has something of its own there: use another path"
            yield f"{path}.volumeDevices[{number}].devicePath", words
    yield from _mounts(container, path)


def _init(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    if container["name"] in CONTAINERS:
        words = f"a container of ours is called {container['name']}: use another name"
        yield f"{path}.name", words
    yield from _fields(container, OF_INIT, FIXED_OF_INIT, path)
    if container.get("restartPolicy", "Always") != "Always":
        words = "Always makes it a native sidecar; else leave it out"
        yield f"{path}.restartPolicy", words
    yield from _mounts(container, path)


def _mounts(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    for field in ("volumeMounts", "volumeDevices"):
        for number, mount in enumerate(container.get(field) or ()):
            name = mount.get("name") if isinstance(mount, Mapping) else None
            if name in VOLUMES:
                words = f"the volume {name} is the runner's alone: use one of your own"
                yield f"{path}.{field}[{number}].name", words
