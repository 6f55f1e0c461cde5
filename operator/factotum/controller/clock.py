"""The time, as whatever decides about jobs reads it: the system's, or one that is held.

Three readings: the wall's, which goes into statuses, one that never jumps, by
which spans are measured, and one that runs on while the machine sleeps.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the wall clock's time, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow, from an arbitrary start."""

    def boottime(self) -> float:
        """Return seconds that only ever grow, those in which the machine slept included."""


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """Return the wall clock's time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some moment before the start."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return seconds since the machine was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class HeldClock:
    """Stands still until it is moved: for trying out what takes time."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._seconds = 0.0

    def now(self) -> datetime:
        """Return the moment it was moved to."""
        return self._moment

    def monotonic(self) -> float:
        """Return by how much it was moved in all, in seconds."""
        return self._seconds

    def boottime(self) -> float:
        """Return the same as ``monotonic``."""
        return self._seconds

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._moment += timedelta(seconds=seconds)
        self._seconds += seconds
