"""What was done, in order, and whom it hit."""

import time
from collections.abc import Iterable
from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that was done.

    Attributes:
        jobs: names of those that it hit, as far as it hit single ones.
    """

    moment: float
    kind: str
    jobs: tuple[str, ...] = ()
    detail: str = ""


class Journal:
    """What was done to one world."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def note(self, kind: str, jobs: Iterable[str] = (), detail: str = "") -> None:
        """Write down what was just done."""
        self.entries.append(Entry(time.time(), kind, tuple(jobs), detail))
