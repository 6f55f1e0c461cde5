"""Worker slots: how many attempts run at once, and who comes next.

First come, first served, by creation time and then UID. Slots are given out by
one pure function in one step of the event loop, and reserved there, so that
no two jobs ever count on the same one.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from factotum.kube.resource import JobUid


class Waiting(NamedTuple):
    """A job that wants a slot; compares by whose turn it is."""

    created: str
    uid: JobUid


def admit(queue: Iterable[Waiting], holders: Collection[JobUid], max_workers: int) -> list[JobUid]:
    """Return who gets a slot now, of those who wait."""
    free = max_workers - len(holders)
    if free <= 0:
        return []
    return [w.uid for w in sorted(w for w in queue if w.uid not in holders)[:free]]


class Slots:
    """The holders of worker slots, and the queue for them."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._holders: set[JobUid] = set()
        self._queue: dict[JobUid, Waiting] = {}

    def has(self, uid: JobUid) -> bool:
        """Whether a job holds a slot."""
        return uid in self._holders

    def hold(self, uid: JobUid) -> None:
        """Count a job that is seen to run, slot or not: it cannot be undone."""
        self._holders.add(uid)
        self._queue.pop(uid, None)

    def want(self, waiting: Waiting) -> list[JobUid]:
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
