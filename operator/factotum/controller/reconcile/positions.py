"""The first ones of the queue hear of their place now and then: all at once, once a minute.

Whoever waits further back is left in peace: each job that starts moves them all.
"""

import asyncio

from factotum.controller.decide.unclaimed.telling import RETELL_SECONDS
from factotum.controller.queue.slots import Slots
from factotum.controller.work_queue import WorkQueue
from factotum.kube.resource import JobUid


class Positions:
    """Has the first ones looked at again, while anybody waits."""

    def __init__(self, slots: Slots, queue: WorkQueue[JobUid]) -> None:
        self._slots = slots
        self._queue = queue
        self._timer: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        """Begin, as somebody may wait by now."""
        if self._timer is None and self._slots.waiting:
            self._timer = asyncio.get_running_loop().call_later(RETELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        for uid in self._slots.first():
            self._queue.add(uid)
        self.expect()
