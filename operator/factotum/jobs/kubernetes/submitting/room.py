"""Whether the operator would take one more job."""

import time
from typing import Final, Protocol

from factotum.core.wire import submissions
from factotum.jobs.errors import DrainingError, QueueFullError

_KEPT_SECONDS: Final = 1.0


class Operator(Protocol):
    """Whoever may be asked."""

    async def refusals(self) -> list[str]:
        """Return what each of the operator's replicas says; empty: it takes a job.

        Those that do not answer are left out.
        """


class Nobody:
    """There is nobody to ask: what waits is counted here alone."""

    async def refusals(self) -> list[str]:
        """Return nothing."""
        return []


class Room:
    """Says whether there is room in the queue.

    Without an answer a submission is taken: a FactotumJob that is too many waits
    like any other, and nothing is lost.

    Args:
        operator: is asked, at most once a second.
        max_waiting: how many jobs may wait.
    """

    def __init__(self, operator: Operator, max_waiting: int) -> None:
        self._operator = operator
        self._max_waiting = max_waiting
        self._known: list[str] = []
        self._known_until = 0.0

    async def check(self, waiting: int) -> None:
        """Make sure that there is room.

        Args:
            waiting: how many jobs wait now.

        Raises:
            DrainingError, QueueFullError
        """
        if waiting >= self._max_waiting:
            raise QueueFullError
        now = time.monotonic()
        if now >= self._known_until:
            self._known_until = now + _KEPT_SECONDS
            self._known = await self._operator.refusals()
        # Only the leader knows; the others say no more than that they are not it.
        told = [text for text in self._known if text != submissions.NOT_LEADING]
        if not told or "" in told:
            return
        if submissions.DRAINS in told:
            raise DrainingError
        raise QueueFullError
