"""One lock and one memory per job, for as long as anybody holds or awaits them.

Whoever writes a job's status or Pods opens its page. A page is thrown away
only once nobody has it open: two locks for one job would be none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from factotum.controller.observe.memory import JobMemory
from factotum.kube.resource import JobUid


class _Page:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.memory = JobMemory()
        self.readers = 0
        self.is_over = False


class Ledger:
    """The pages of all jobs that are being dealt with."""

    def __init__(self) -> None:
        self._pages: dict[JobUid, _Page] = {}

    def __len__(self) -> int:
        """Return how many jobs are remembered."""
        return len(self._pages)

    @asynccontextmanager
    async def open(self, uid: JobUid) -> AsyncIterator[JobMemory]:
        """Hold a job's lock and read and write its memory."""
        page = self._pages.get(uid)
        if page is None:
            page = self._pages[uid] = _Page()
        page.readers += 1
        try:
            async with page.lock:
                yield page.memory
        finally:
            page.readers -= 1
            if page.is_over and not page.readers:
                self._pages.pop(uid, None)

    def close(self, uid: JobUid) -> None:
        """Forget a job: what is remembered at once, its lock when nobody needs it any more.

        The caller has the page open.
        """
        page = self._pages[uid]
        page.memory = JobMemory()
        page.is_over = True

    def failures(self, uid: JobUid) -> int:
        """Count a look that failed; return how many in a row."""
        page = self._pages.get(uid)
        if page is None:
            return 1
        page.memory.failures += 1
        return page.memory.failures
