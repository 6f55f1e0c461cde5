"""Which finished jobs have as many newer ones in their namespace as are to be kept.

Subscribes to the cache. Each job costs what a heap costs, however many are at
rest: what is known to be surplus is told once, and stays so until it is gone.
"""

import heapq
from collections.abc import Callable
from typing import Final

from factotum.controller.facts.pods import PodView
from factotum.core.words.states import RunState
from factotum.kube.resource import FactotumJob, JobUid

_Key = tuple[str, bool]
"""A namespace, and whether its jobs of this shelf have succeeded."""
_Age = tuple[str, str, JobUid]
_SLACK: Final = 16


class _Shelf:
    """The finished jobs of one namespace and outcome."""

    def __init__(self) -> None:
        self.kept: dict[JobUid, _Age] = {}
        self.surplus: set[JobUid] = set()
        self._oldest: list[_Age] = []

    def put(self, age: _Age) -> None:
        self.kept[age[2]] = age
        heapq.heappush(self._oldest, age)
        if len(self._oldest) > 2 * len(self.kept) + _SLACK:
            self._oldest = sorted(self.kept.values())

    def take_oldest(self) -> JobUid:
        """Make the oldest job surplus; what is gone meanwhile is left out."""
        while True:
            age = heapq.heappop(self._oldest)
            if self.kept.get(age[2]) == age:
                del self.kept[age[2]]
                self.surplus.add(age[2])
                return age[2]

    def drop(self, uid: JobUid) -> None:
        self.kept.pop(uid, None)
        self.surplus.discard(uid)

    def __bool__(self) -> bool:
        return bool(self.kept or self.surplus)


class History:
    """The newest finished jobs of each namespace, and those before them.

    Args:
        succeeded: how many are kept that ended well; None: all.
        failed: how many of the others.
        look: is told of a job that has become surplus.
    """

    def __init__(
        self, succeeded: int | None, failed: int | None, look: Callable[[JobUid], None]
    ) -> None:
        self._limits = {True: succeeded, False: failed}
        self._look = look
        self._shelves: dict[_Key, _Shelf] = {}
        self._places: dict[JobUid, _Key] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether there is a limit at all."""
        return any(limit is not None for limit in self._limits.values())

    def is_surplus(self, uid: JobUid) -> bool:
        """Whether there are newer ones of its kind, as many as are to be kept."""
        key = self._places.get(uid)
        return key is not None and uid in self._shelves[key].surplus

    # --- Subscriber -------------------------------------------------------------------

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:
        """Count a job that is done, and no more one that is not."""
        key = job.namespace, job.status.get("outcome") == RunState.SUCCEEDED
        limit = self._limits[key[1]]
        known = self._places.get(job.uid)
        is_counted = job.is_done and not is_gone and not job.deleting
        if known is not None and (not is_counted or known != key):
            self._drop(job.uid, known)
        if limit is None or not is_counted or known == key:
            return
        age = str(job.status.get("completionTime") or ""), job.created, job.uid
        shelf = self._shelves.setdefault(key, _Shelf())
        self._places[job.uid] = key
        shelf.put(age)
        while len(shelf.kept) > limit:
            self._look(shelf.take_oldest())

    def pod_changed(self, pod: PodView) -> None:
        """Need nothing of Pods."""

    def _drop(self, uid: JobUid, key: _Key) -> None:
        del self._places[uid]
        shelf = self._shelves[key]
        shelf.drop(uid)
        if not shelf:
            del self._shelves[key]
