"""The worker slots: who holds one, and who waits for one.

They are given out by one pure function in one step of the event loop, and
reserved there, so that no two jobs ever count on the same one.
"""

from factotum.controller.facts.observed import Held, Place, Waits
from factotum.controller.queue.admission import Waiting, admit
from factotum.kube.resource import JobUid


class Slots:
    """The holders of worker slots, and the queue for them."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._holders: set[JobUid] = set()
        self._queue: dict[JobUid, Waiting] = {}

    def __len__(self) -> int:
        """Return how many workers are taken."""
        return len(self._holders)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return len(self._queue)

    def place(self, uid: JobUid) -> Place | None:
        """Return where a job stands; None if it holds nothing and waits for nothing."""
        if uid in self._holders:
            return Held()
        return Waits() if uid in self._queue else None

    def hold(self, uid: JobUid) -> None:
        """Count a job that is seen to run, slot or not: it cannot be undone."""
        self._holders.add(uid)
        self._queue.pop(uid, None)

    def join(self, waiting: Waiting) -> list[JobUid]:
        """Queue a job and return everybody who got a slot by it."""
        if waiting.uid not in self._holders:
            self._queue[waiting.uid] = waiting
        return self._admit()

    def release(self, uid: JobUid) -> list[JobUid]:
        """Take a job off the holders and the queue; return who got its slot."""
        self._queue.pop(uid, None)
        if uid not in self._holders:
            return []
        self._holders.discard(uid)
        return self._admit()

    def _admit(self) -> list[JobUid]:
        # Far more jobs may wait than there are slots: no look at the queue
        # while none is free.
        if len(self._holders) >= self._max_workers:
            return []
        admitted = admit(self._queue.values(), self._holders, self._max_workers)
        for uid in admitted:
            self._holders.add(uid)
            del self._queue[uid]
        return admitted
