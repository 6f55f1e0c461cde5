"""What a decision about a job is made of.

Values only; ``table`` and its halves make them, the reconciler carries them
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from factotum.controller.facts.observed import Ask
from factotum.controller.facts.pods import PodView
from factotum.core.words import reasons

RETRY_SECONDS: Final = 5.0
"""When to look again for what is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An Event to record."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, in this order: ask, join, announce, patch, delete, create, remove.

    Attributes:
        ask: questions; nothing else is done until they are answered.
        join: get in the queue for a worker, then decide again.
        announce: take the job's entry in Consul, then decide again.
        patch: a status patch, which also fences what follows it.
        notice: an Event that tells of the patch, once that is written.
        delete: Pods to delete.
        create: create the Pod of the current launch, from these facts.
        remove: delete the job itself, if nobody changed it.
        again_in: seconds after which to look again, whatever happens.
        in_line: the job keeps its place in the queue; without, it leaves it.
    """

    ask: frozenset[Ask] = field(default_factory=frozenset)
    join: bool = False
    announce: bool = False
    patch: Mapping[str, Any] | None = None
    notice: Notice | None = None
    delete: tuple[PodView, ...] = ()
    create: bool = False
    remove: bool = False
    again_in: float | None = None
    in_line: bool = False


NOTHING: Final = Decision()


def done(patch: Mapping[str, Any]) -> Decision:
    """Write a job's end, and record an Event about it."""
    notice = Notice(
        type=reasons.notice_of(patch["reason"], patch["outcome"]),
        reason=patch["reason"],
        message=patch["message"],
    )
    return Decision(patch=patch, notice=notice)


def told(patch: Mapping[str, Any], *, delete: tuple[PodView, ...] = ()) -> Decision:
    """Write a turn in a job's life that is not its end, and record an Event about it."""
    return replace(done(patch), delete=delete)
