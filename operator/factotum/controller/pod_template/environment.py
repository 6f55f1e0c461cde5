"""The tasks' variables in a Pod's container: under our prefix, and referring to each other. Pure.

Kubernetes puts variables into each other (``$(NAME)``) before the runner is started, which takes
the prefix off. So a reference gets the prefix with the variable that it names; and one that names
a variable of ours finds nothing, as if there were none.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

from factotum.core.wire import variables

_REFERENCE: Final = re.compile(r"\$(\$|\([^)]*\)|.)", re.DOTALL)
"""What the kubelet takes in one step; a dollar that stands before nothing special is one itself."""
_OF_KUBERNETES: Final = "KUBERNETES_"
"""Begins the names of what each container has of the API server's Service."""

Entry = Mapping[str, Any]


def prefixed(entries: Iterable[Entry], *, has_sources: bool) -> list[dict[str, Any]]:
    """Return the entries of ``env`` as the container gets them.

    Args:
        entries: as people wrote them, each name once.
        has_sources: there is an ``envFrom`` too, whose names only the kubelet knows.
    """
    made: list[dict[str, Any]] = []
    known: set[str] = set()
    for entry in entries:
        new = dict(entry) | {"name": variables.TASK_PREFIX + entry["name"]}
        if entry.get("value"):
            new["value"] = referring(entry["value"], known, has_sources=has_sources)
        made.append(new)
        # Only what stands before a variable can be referred to by it.
        known.add(entry["name"])
    return made


def prefixed_sources(sources: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the entries of ``envFrom`` as the container gets them."""
    return [
        dict(source) | {"prefix": variables.TASK_PREFIX + (source.get("prefix") or "")}
        for source in sources
    ]


def referring(text: str, known: Container[str], *, has_sources: bool) -> str:
    """Return a text whose references find the variables of the tasks, and none of ours.

    Args:
        text: of a value, or of a mount's ``subPathExpr``.
        known: names that can be referred to.
        has_sources: what is not known may be a name of ``envFrom``. If it is none either, the
            runner takes the prefix off what then stands in the value.
    """
    return _REFERENCE.sub(_replacing(known, has_sources=has_sources), text)


def _replacing(known: Container[str], *, has_sources: bool) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        name = match[1][1:-1]
        if not match[1].startswith("(") or not name:
            return match[0]
        from_a_source = has_sources and not name.startswith(_OF_KUBERNETES)
        if name in known or from_a_source:
            return f"$({variables.TASK_PREFIX}{name})"
        is_ours = name in variables.OURS or name.startswith(variables.TASK_PREFIX)
        return f"${match[0]}" if is_ours else match[0]

    return replace
