"""Whether the operator is of any use: what it consists of, watched, and told in words.

Whatever runs beside the others is named here. A part that ended, or that has
not moved for longer than it ever takes, makes the operator unhealthy, and it
is started anew; until the lists are read it is only not ready.
"""

import asyncio
from collections.abc import Callable
from typing import Final

Check = Callable[[], str | None]
"""Returns what is wrong, if anything is."""

STARTING: Final = "starting: not every list was read yet"


class Health:
    """What is wrong, by everything that was asked to be watched."""

    def __init__(self) -> None:
        self._checks: list[Check] = []
        self._is_started = False

    def watch(self, check: Check) -> None:
        """Count the operator as dead while this check finds something."""
        self._checks.append(check)

    def watch_task(self, task: asyncio.Task[None]) -> None:
        """Count the operator as dead once a task has ended."""
        self.watch(lambda: f"the {task.get_name()} has ended" if task.done() else None)

    def watch_moves(self, name: str, still: Callable[[], float], limit: float) -> None:
        """Count the operator as dead while something has not moved for too long.

        Args:
            name: of what moves, after "the".
            still: returns for how many seconds it has not.
            limit: how many are too many.
        """

        def check() -> str | None:
            seconds = still()
            return None if seconds <= limit else f"the {name} has not moved for {seconds:.0f} s"

        self.watch(check)

    def started(self) -> None:
        """Say that every list was read."""
        self._is_started = True

    def failure(self) -> str | None:
        """Return why this operator is of no use any more, if it is."""
        return "; ".join(found for check in self._checks if (found := check())) or None

    def missing(self) -> str | None:
        """Return why this operator cannot serve now, if it cannot."""
        failure = self.failure()
        if self._is_started:
            return failure
        return f"{STARTING}; {failure}" if failure else STARTING
