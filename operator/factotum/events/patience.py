"""How long a finished run waits for a consumer that takes nothing.

Time in which the process was stopped (Ctrl-Z, a frozen container) does not count: the
consumer has had no chance in it.
"""

from __future__ import annotations

import time

LONGEST_NAP = 0.5
"""Seconds between two looks at it; whoever waits looks as often."""

_MOST_COUNTED = 2 * LONGEST_NAP


class Patience:
    """Runs out while nothing gets through, once it has begun to.

    Args:
        seconds: how long it lasts; None: for ever.
    """

    __slots__ = ("_seconds", "_seen", "_spent")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._spent = 0.0
        self._seen: float | None = None

    def begin(self) -> None:
        """Begin to run out, or begin anew."""
        self._spent = 0.0
        self._seen = time.monotonic()

    def left(self) -> float | None:
        """Return the seconds that are left, None if it does not run out."""
        if self._seconds is None or self._seen is None:
            return None
        now = time.monotonic()
        self._spent += min(now - self._seen, _MOST_COUNTED)
        self._seen = now
        return max(self._seconds - self._spent, 0.0)
