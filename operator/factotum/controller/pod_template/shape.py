"""What of a template has another shape than a Pod: it could not be laid over one. Pure.

The rest of the shape is the API server's to know, and it says so when the Pod is made.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from factotum.controller.pod_template.restrictions import Violation

_MOST_LEVELS: Final = 64
WORD: Final = 60
"""Characters of a name in a message."""


def misshapen(template: object, root: str) -> Iterator[Violation]:
    """List what is of another shape; if nothing is, a template can be read as one.

    Args:
        template: of any shape.
        root: what its place is called.
    """
    if _is_too_deep(template):
        yield root, f"no Pod has more than {_MOST_LEVELS} levels"
    else:
        yield from _of_template(template, root)


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MOST_LEVELS):
        level = [
            part
            for each in level
            if isinstance(each, Mapping | list)
            for part in (each.values() if isinstance(each, Mapping) else each)
        ]
    return bool(level)


def _of_template(template: object, root: str) -> Iterator[Violation]:
    if not isinstance(template, Mapping):
        yield root, "expected an object with metadata and spec, as of a Pod"
        return
    for key in template.keys() - {"metadata", "spec"}:
        yield f"{root}.{key!s:.{WORD}}", "expected metadata and spec only, as of a Pod"
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    if not isinstance(metadata, Mapping):
        yield f"{root}.metadata", "expected an object with labels and annotations"
    else:
        for key in metadata.keys() - {"labels", "annotations"}:
            # Programs write `creationTimestamp: null` into every template.
            if metadata[key] is not None:
                words = "only labels and annotations are yours, the rest follows from the job"
                yield f"{root}.metadata.{key!s:.{WORD}}", f"{words}: leave it out"
        for key in ("labels", "annotations"):
            yield from _texts(metadata.get(key), f"{root}.metadata.{key}")
    if not isinstance(spec, Mapping):
        yield f"{root}.spec", "expected an object, as a Pod's spec"
        return
    yield from _shape_of_spec(spec, f"{root}.spec")


def _shape_of_spec(spec: Mapping[str, Any], path: str) -> Iterator[Violation]:
    yield from _texts(spec.get("nodeSelector"), f"{path}.nodeSelector")
    for key in ("affinity", "securityContext"):
        if not isinstance(spec.get(key, {}), Mapping | None):
            yield f"{path}.{key}", "expected an object"
    if isinstance(context := spec.get("securityContext"), Mapping):
        yield from _list(context, "sysctls", f"{path}.securityContext")
    yield from _terms(spec.get("affinity"), f"{path}.affinity")
    for key in ("volumes", "imagePullSecrets"):
        yield from _entries(spec, key, "name", path)
    for key in ("containers", "initContainers"):
        wrong = list(_entries(spec, key, "name", path))
        yield from wrong
        for number, container in enumerate(() if wrong else spec.get(key, ())):
            yield from _shape_of_container(container, f"{path}.{key}[{number}]")


def _shape_of_container(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    # Texts in which references are looked for.
    for key, name, text in (("env", "name", "value"), ("volumeMounts", "mountPath", "subPathExpr")):
        wrong = list(_entries(container, key, name, path))
        yield from wrong or _variables(container, key, text, path)
    wrong = list(_list(container, "envFrom", path, of=Mapping))
    yield from wrong or _variables(container, "envFrom", "prefix", path)
    yield from _list(container, "ports", path)
    for key in ("resources", "securityContext"):
        if not isinstance(container.get(key, {}), Mapping | None):
            yield f"{path}.{key}", "expected an object"
    if isinstance(resources := container.get("resources"), Mapping):
        for key in ("requests", "limits"):
            if not isinstance(resources.get(key, {}), Mapping | None):
                yield f"{path}.resources.{key}", "expected an object"


def _variables(
    container: Mapping[str, Any], field: str, key: str, path: str
) -> Iterator[Violation]:
    """List the entries of a list of objects that have no text under a key."""
    for number, entry in enumerate(container.get(field) or ()):
        if not isinstance(entry.get(key) or "", str):
            yield f"{path}.{field}[{number}].{key}", "expected a text: put it into quotes"


def _texts(value: object, path: str) -> Iterator[Violation]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield path, "expected an object of texts"
        return
    for key, text in value.items():
        if not isinstance(text, str | None):
            yield f'{path}["{key!s:.{WORD}}"]', "expected a text: put it into quotes"


def _list(
    holder: Mapping[str, Any], key: str, path: str, *, of: type = object
) -> Iterator[Violation]:
    value = holder.get(key, [])
    if not isinstance(value, list):
        yield f"{path}.{key}", "expected a list; what is in it cannot be taken away as a whole"
    else:
        for number, entry in enumerate(value):
            if not isinstance(entry, of):
                yield f"{path}.{key}[{number}]", "expected an object"


def _entries(holder: Mapping[str, Any], key: str, name: str, path: str) -> Iterator[Violation]:
    """List what is no list of objects with a name each."""
    wrong = list(_list(holder, key, path, of=Mapping))
    yield from wrong
    if wrong:
        return
    seen = set()
    for number, entry in enumerate(holder.get(key, ())):
        called = entry.get(name)
        if not isinstance(called, str) or not called:
            yield f"{path}.{key}[{number}].{name}", "it must have one"
        elif called in seen:
            yield f"{path}.{key}[{number}].{name}", f"{called:.{WORD}} is there twice"
        else:
            seen.add(called)


def _terms(affinity: object, path: str) -> Iterator[Violation]:
    """List what keeps a host constraint from being added to what Nodes a template wants."""
    step: Any = affinity
    for key in ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"):
        step = step.get(key) if isinstance(step, Mapping) else None
        path = f"{path}.{key}"
        if not isinstance(step, Mapping | None):
            yield path, "expected an object"
    if step is not None and isinstance(step, Mapping):
        wrong = list(_list(step, "nodeSelectorTerms", path, of=Mapping))
        yield from wrong
        for number, term in enumerate(() if wrong else step.get("nodeSelectorTerms", ())):
            for key in ("matchFields", "matchExpressions"):
                yield from _list(term, key, f"{path}.nodeSelectorTerms[{number}]")
