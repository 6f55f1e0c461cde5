"""Who holds a worker and a job id, and who waits for them.

They are given out by one pure function in one step of the event loop, and
reserved there, so that no two jobs ever count on the same one. Whoever is seen
to run is counted, with or without room, and so is whoever has a Pod of ours
that has not ended, for its job id alone if it has no worker.

Each change returns who is to be looked at because of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from factotum.controller.facts.observed import Held, Place, Waits
from factotum.controller.queue.admission import Holders, Key, Limits, Waiting, admit
from factotum.controller.queue.line import Line
from factotum.kube.resource import Duplicates, JobUid

TOLD: Final = 20
"""How many of those who wait are told their position."""


class Slots:
    """The holders of workers and job ids, and the line for them.

    Args:
        max_workers: attempts that may run at once.
        per_namespace: of them in one namespace; None: as many as there are.
        max_jobs: that may wait before others are told that the queue is full.
    """

    def __init__(
        self, max_workers: int, *, per_namespace: int | None = None, max_jobs: int = 1000
    ) -> None:
        self._limits = Limits(workers=max_workers, per_namespace=per_namespace, jobs=max_jobs)
        self._ids: dict[Key, dict[JobUid, bool]] = {}
        """Who has a job id, and whether a task of it may have been started."""
        self._keys: dict[JobUid, set[Key]] = {}
        self._beside: set[JobUid] = set()
        """Who may run beside others."""
        self._holders = Holders(ids=self._ids)
        self._line = Line(self._ids.__contains__, has_rooms=per_namespace is not None)

    def __len__(self) -> int:
        """Return how many workers are taken."""
        return len(self._holders.workers)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._line)

    @property
    def held_ids(self) -> int:
        """How many job ids somebody has."""
        return len(self._ids)

    # --- asking -----------------------------------------------------------------------

    def place(self, uid: JobUid) -> Place | None:
        """Return where a job stands; None if it has no worker and waits for none."""
        waiting = self._line.get(uid)
        if waiting is None and uid not in self._holders.workers:
            return None
        if waiting is None:
            return Held() if next(self.rivals(uid), None) is None else Waits()
        position = self.position(uid) or 0
        return Waits(
            position=position if position <= TOLD else None,
            is_beyond=position > self._limits.jobs,
            namespace_is_full=self._holders.is_full(waiting.namespace, self._limits),
        )

    def is_waiting(self, uid: JobUid) -> bool:
        """Whether a job is in the line."""
        return uid in self._line

    def has_worker(self, uid: JobUid) -> bool:
        """Whether a job has a worker."""
        return uid in self._holders.workers

    def has_room(self, namespace: str) -> bool:
        """Whether one more job of a namespace may have a worker."""
        if len(self) >= self._limits.workers:
            return False
        return not self._holders.is_full(namespace, self._limits)

    def has_id(self, uid: JobUid) -> bool:
        """Whether a job has a job id."""
        return uid in self._keys

    def position(self, uid: JobUid) -> int | None:
        """Return exactly how far in the line a job is, from 1; None: it does not wait."""
        return self._line.position(uid)

    def first(self) -> Sequence[JobUid]:
        """Return those who have waited longest, as many as are told their position."""
        return [waiting.uid for waiting in self._line.first(TOLD)]

    def rivals(self, uid: JobUid) -> Iterator[JobUid]:
        """Yield whom a job must let go first because of its job id."""
        waiting = self._line.get(uid)
        if uid in self._beside or (waiting is not None and waiting.runs_beside):
            return
        for key in self._keys.get(uid, ()):
            # Both have Pods: an earlier controller's, say. Only a start decides.
            yield from (u for u, started in self._ids[key].items() if started and u != uid)
        if waiting is None or waiting.key is None or waiting.key in self._keys.get(uid, ()):
            return
        yield from self._ids.get(waiting.key, ())
        first = self._line.first_of(waiting.key)
        if first is not None and first.uid != uid:
            yield first.uid

    # --- wanting ----------------------------------------------------------------------

    def join(self, waiting: Waiting) -> list[JobUid]:
        """Queue a job."""
        if waiting.uid in self._holders.workers:
            return []
        key = waiting.key
        before = self._line.first_of(key) if key is not None else None
        has_id = key is not None and key in self._keys.get(waiting.uid, ())
        self._line.put(waiting, has_id=has_id)
        passed = before is not None and key is not None and self._line.first_of(key) is not before
        return self._admit() + ([before.uid] if passed and before is not None else [])

    # --- having -----------------------------------------------------------------------

    def hold(
        self,
        uid: JobUid,
        ids: Iterable[Key] = (),
        *,
        namespace: str = "",
        beside: bool = False,
        started: bool = False,
    ) -> None:
        """Count a job that is seen to run, room or not: it cannot be undone.

        Args:
            ids: job ids that it is known by.
            beside: it may run beside others of its job id.
            started: a task of it may have been started.
        """
        self._line.drop(uid)
        self._give_worker(uid, namespace)
        self._give_ids(uid, ids, beside=beside, started=started)

    def keep_ids(
        self, uid: JobUid, ids: Iterable[Key], *, beside: bool = False, started: bool = False
    ) -> list[JobUid]:
        """Count that a job has job ids, as its Pod has not ended; be it without a worker."""
        self._give_ids(uid, ids, beside=beside, started=started)
        # If it waits for a worker, nobody of its job id is before it any more.
        return self._admit()

    def _give_ids(self, uid: JobUid, ids: Iterable[Key], *, beside: bool, started: bool) -> None:
        for key in ids:
            self._give_id(key, uid)
        if beside:
            self._beside.add(uid)
        if started:
            for key in self._keys.get(uid, ()):
                self._ids[key][uid] = True

    def start(self, waiting: Waiting) -> bool:
        """Reserve the start of a job's tasks: of one job id, only one job may have that.

        Of two that both have a Pod whoever is first to claim goes; it has it
        until it is released.
        """
        key, uid = waiting.key, waiting.uid
        if key is None:
            return True
        others = [u for u, started in self._ids.get(key, {}).items() if started and u != uid]
        if others and not waiting.runs_beside:
            return False
        self._give_ids(uid, [key], beside=waiting.runs_beside, started=True)
        return True

    def give_back(self, uid: JobUid) -> list[JobUid]:
        """Take a job's worker away, and leave it its job ids."""
        self._line.drop(uid)
        self._take_worker(uid)
        return self._admit()

    def release(self, uid: JobUid) -> list[JobUid]:
        """Take a job off: its worker, its job ids, its place in the line."""
        self._beside.discard(uid)
        if uid not in self._line and uid not in self._holders.workers and uid not in self._keys:
            return []
        self._line.drop(uid)
        self._take_worker(uid)
        for key in self._keys.pop(uid, ()):
            having = self._ids[key]
            del having[uid]
            if not having:
                del self._ids[key]
                self._line.reconsider(key)
        return self._admit()

    def _admit(self) -> list[JobUid]:
        """Give out what is free; return who got it, and who is a duplicate by that."""
        # Far more jobs may wait than there are workers: no look at them while none is free.
        if not len(self._line) or len(self) >= self._limits.workers:
            return []
        candidates = self._line.candidates(lambda ns: self._holders.is_full(ns, self._limits))
        admitted = admit(candidates, self._holders, self._limits)
        passed = []
        for waiting in admitted:
            self._line.drop(waiting.uid)
            self._give_worker(waiting.uid, waiting.namespace)
            if waiting.runs_beside:
                self._beside.add(waiting.uid)
            if waiting.key is not None:
                self._give_id(waiting.key, waiting.uid)
                first = self._line.first_of(waiting.key)
                if first is not None and first.policy == Duplicates.REJECT:
                    passed.append(first.uid)
        return [waiting.uid for waiting in admitted] + passed

    def _give_worker(self, uid: JobUid, namespace: str) -> None:
        if uid not in self._holders.workers:
            self._holders.workers[uid] = namespace
            self._holders.in_namespace[namespace] += 1

    def _take_worker(self, uid: JobUid) -> None:
        namespace = self._holders.workers.pop(uid, None)
        if namespace is None:
            return
        self._holders.in_namespace[namespace] -= 1
        if not self._holders.in_namespace[namespace]:
            del self._holders.in_namespace[namespace]

    def _give_id(self, key: Key, uid: JobUid) -> None:
        self._keys.setdefault(uid, set()).add(key)
        having = self._ids.setdefault(key, {})
        having.setdefault(uid, False)
        waiting = self._line.get(uid)
        if waiting is not None and waiting.key == key:
            self._line.put(waiting, has_id=True)
        self._line.reconsider(key)
