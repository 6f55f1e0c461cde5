"""How each reason is brought about: one small function each, by its reason."""

from collections.abc import Callable
from typing import NamedTuple

from cluster.reasons.scene import Scene
from factotum.core.words.reasons import TABLE

CANNOT: dict[str, str] = {}
"""Reasons that no test can bring about, and why."""


class Case(NamedTuple):
    """How a reason is brought about.

    Attributes:
        how: in words, for the table.
        act: creates the scene's job, and sees to it that it comes to the reason.
        seconds: that it takes; what takes long begins first.
        is_alone: it changes what holds for all of a namespace, so it has one of its own.
        prepare: what is done first, while an operator of two workers is at work.
        is_tight: all of it is done there.
    """

    reason: str
    how: str
    act: Callable[[Scene], None]
    seconds: float
    is_alone: bool
    prepare: Callable[[Scene], None] | None
    is_tight: bool

    @property
    def is_ours(self) -> bool:
        """Whether the word is ours, and not one of Kubernetes that is passed on."""
        return self.reason in TABLE


CASES: dict[str, Case] = {}


def brings_about(
    reason: str,
    how: str,
    *,
    seconds: float = 0.0,
    is_alone: bool = False,
    prepare: Callable[[Scene], None] | None = None,
    is_tight: bool = False,
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Enter a function into the catalogue."""

    def enter(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
        assert reason not in CASES, f"{reason} is brought about twice"
        CASES[reason] = Case(reason, how, act, seconds, is_alone, prepare, is_tight)
        return act

    return enter
