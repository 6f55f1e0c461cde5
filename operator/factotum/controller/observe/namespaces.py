"""Which namespaces take Pods at present, found out by few jobs for all of a namespace.

A webhook that hangs or is down concerns every job of its namespace alike. The
first requests find it out; while it lasts one at a time tries again, and the
others wait without a worker and without a connection to the API server. So a
namespace that takes nothing costs the others nothing.
"""

from dataclasses import dataclass, field
from typing import Final

from factotum.controller.facts.observed import PodRefusal
from factotum.core.words.reasons import Reason
from factotum.kube.resource import JobUid

SLOW_SECONDS: Final = 2.0
"""A request that takes longer keeps the next ones of its namespace back."""
MOST_IN_ONE: Final = 16
MOST_IN_ALL: Final = 40
"""Requests under way at once: fewer than there are connections."""
_MAX_PAUSE_SECONDS: Final = 30.0

_HANGS: Final = PodRefusal(
    permanent=False,
    reason=Reason.POD_NOT_CREATED,
    message=(
        "the API server does not answer requests for Pods of this namespace:"
        " an admission webhook that hangs, or the server itself"
    ),
    is_answer=False,
)
_CROWDED: Final = PodRefusal(
    permanent=False,
    reason=Reason.POD_NOT_CREATED,
    message="the API server does not answer many requests for Pods of this and other namespaces",
    is_answer=False,
)


@dataclass(slots=True)
class _Door:
    """How the creations in one namespace go."""

    begun: dict[JobUid, float] = field(default_factory=dict)
    failures: int = 0
    refusal: PodRefusal | None = None
    closed_until: float = 0.0


class Namespaces:
    """The namespaces in which Pods are being made, or cannot be."""

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}
        self._under_way = 0

    def begin(self, namespace: str, uid: JobUid, now: float) -> None:
        """Note that a Pod is asked for."""
        door = self._doors.setdefault(namespace, _Door())
        if uid not in door.begun:
            self._under_way += 1
        door.begun[uid] = now

    def end(self, namespace: str, uid: JobUid, refusal: PodRefusal | None, now: float) -> None:
        """Note that such a request was answered, or failed."""
        door = self._doors.get(namespace)
        if door is None or door.begun.pop(uid, None) is None:
            return
        self._under_way -= 1
        if refusal is not None and not refusal.is_answer:
            door.failures += 1
            door.refusal = refusal
            door.closed_until = now + min(_MAX_PAUSE_SECONDS, 0.25 * 2.0**door.failures)
            return
        door.failures, door.refusal = 0, None
        if not door.begun:
            del self._doors[namespace]

    def refusal(self, namespace: str, uid: JobUid, now: float) -> PodRefusal | None:
        """Return why no Pod is to be asked for now, by what became of others; None: go on."""
        door = self._doors.get(namespace)
        if door is not None:
            if uid in door.begun:
                return None
            if door.refusal is not None and (door.begun or now < door.closed_until):
                return door.refusal
            first = next(iter(door.begun.values()), now)
            if now - first >= SLOW_SECONDS or len(door.begun) >= MOST_IN_ONE:
                return _HANGS
        return _CROWDED if self._under_way >= MOST_IN_ALL else None
