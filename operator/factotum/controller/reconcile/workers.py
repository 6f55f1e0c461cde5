"""The workers that take looks, relieved while one hangs.

A request about one namespace may hang for half a minute, at an admission
webhook say. So that those do not hold all workers, a look that takes long gets
its worker replaced; and of one namespace only so many are begun meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from factotum.controller.clock import Clock
from factotum.controller.work_queue import WorkQueue
from factotum.kube.resource import JobUid

_WORKERS: Final = 16
_MOST_WORKERS: Final = 48
_MOST_IN_ONE: Final = 8
"""Looks at jobs of one namespace that may hang; others wait until one has ended."""
_LONG_SECONDS: Final = 2.0
_CHECK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 1.0


class Workers:
    """Takes keys off the queue, so many at a time.

    Args:
        queue: the jobs to look at.
        look: has one look; it survives whatever comes of it.
        namespace_of: returns a job's namespace; empty if it is not known.
    """

    def __init__(
        self,
        queue: WorkQueue[JobUid],
        look: Callable[[JobUid], Awaitable[None]],
        namespace_of: Callable[[JobUid], str],
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._look = look
        self._namespace_of = namespace_of
        self._clock = clock
        self._since: dict[JobUid, float] = {}
        self._hanging: Counter[str] = Counter()
        self._count = 0

    async def run(self) -> None:
        """Work for ever."""
        self._count = 0
        async with asyncio.TaskGroup() as group:
            self._hire(group, _WORKERS)
            while True:
                await asyncio.sleep(_CHECK_SECONDS)
                self._relieve(group)

    def longest_look(self) -> float:
        """Return for how many seconds the look goes on that began first."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else self._clock.monotonic() - first

    def _hire(self, group: asyncio.TaskGroup, wanted: int) -> None:
        for _ in range(wanted - self._count):
            self._count += 1
            group.create_task(self._work())

    def _relieve(self, group: asyncio.TaskGroup) -> None:
        """Count the looks that hang, and have as many others at work as ever."""
        begun = self._clock.monotonic() - _LONG_SECONDS
        hanging = [uid for uid, since in self._since.items() if since <= begun]
        self._hanging = Counter(map(self._namespace_of, hanging))
        self._hire(group, min(_WORKERS + len(hanging), _MOST_WORKERS))

    async def _work(self) -> None:
        while self._count <= _WORKERS + self._hanging.total():
            uid = await self._queue.get()
            if self._hanging and self._hanging[self._namespace_of(uid)] >= _MOST_IN_ONE:
                self._queue.add_later(uid, _AGAIN_SECONDS)
                self._queue.done(uid)
                continue
            self._since[uid] = self._clock.monotonic()
            try:
                await self._look(uid)
            finally:
                del self._since[uid]
                self._queue.done(uid)
        self._count -= 1
