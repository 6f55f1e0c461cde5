"""Those who wait, in order, so that none need to be passed over who surely cannot go.

Ten thousand jobs may wait for one job id, or for one namespace's limit: of those
with one job id only the first is a candidate, and none while somebody has that
id. Lists are kept sorted; to shift the rest of one is nearly free.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from heapq import merge

from factotum.controller.queue.admission import Key, Waiting
from factotum.kube.resource import JobUid


class Line:
    """Who waits, in the order of their turns.

    Args:
        is_taken: whether somebody has a job id. Whoever changes that says so by
            ``reconsider``.
        has_rooms: keep the namespaces apart, since one may be full.
    """

    def __init__(self, is_taken: Callable[[Key], bool], *, has_rooms: bool) -> None:
        self._is_taken = is_taken
        self._has_rooms = has_rooms
        self._by_uid: dict[JobUid, Waiting] = {}
        self._alone: set[JobUid] = set()
        """Who waits for nobody of its job id."""
        self._order: list[Waiting] = []
        self._behind: dict[Key, list[Waiting]] = {}
        """Who needs a job id for itself, by that."""
        self._heads: dict[Key, Waiting] = {}
        """Of each job id that is free: who is among the candidates."""
        self._rooms: dict[str, list[Waiting]] = {}
        """The candidates."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._order)

    def __contains__(self, uid: JobUid) -> bool:
        """Whether a job waits."""
        return uid in self._by_uid

    def get(self, uid: JobUid) -> Waiting | None:
        """Return what a job waits for."""
        return self._by_uid.get(uid)

    def put(self, waiting: Waiting, *, has_id: bool = False) -> None:
        """Have a job wait, instead of how it did before.

        Args:
            has_id: it has its job id already: nobody can be before it.
        """
        key, is_alone = waiting.key, has_id or waiting.runs_beside
        known = self._by_uid.get(waiting.uid)
        if known == waiting and is_alone == (waiting.uid in self._alone):
            return
        if known is not None:
            self.drop(known.uid)
        self._by_uid[waiting.uid] = waiting
        insort(self._order, waiting)
        if is_alone or key is None:
            self._alone.add(waiting.uid)
            self._open(waiting)
            return
        insort(self._behind.setdefault(key, []), waiting)
        self.reconsider(key)

    def drop(self, uid: JobUid) -> None:
        """Have a job wait no more."""
        waiting = self._by_uid.pop(uid, None)
        if waiting is None:
            return
        _take_out(self._order, waiting)
        key = waiting.key
        if uid in self._alone or key is None:
            self._alone.discard(uid)
            self._shut(waiting)
            return
        _take_out(self._behind[key], waiting)
        if not self._behind[key]:
            del self._behind[key]
        self.reconsider(key)

    def reconsider(self, key: Key) -> None:
        """Choose again who of one job id is a candidate."""
        first = None if self._is_taken(key) else self.first_of(key)
        known = self._heads.get(key)
        if known is first:
            return
        if known is not None:
            del self._heads[key]
            self._shut(known)
        if first is not None:
            self._heads[key] = first
            self._open(first)

    def first_of(self, key: Key) -> Waiting | None:
        """Return whose turn it is of those who need one job id for themselves."""
        behind = self._behind.get(key)
        return behind[0] if behind else None

    def candidates(self, is_full: Callable[[str], bool]) -> Iterator[Waiting]:
        """Yield, in order, who could go; none of a namespace that is full."""
        rooms = [room for name, room in self._rooms.items() if not is_full(name)]
        return iter(rooms[0]) if len(rooms) == 1 else merge(*rooms)

    def position(self, uid: JobUid) -> int | None:
        """Return a job's place by age among all who wait, from 1."""
        waiting = self._by_uid.get(uid)
        return None if waiting is None else bisect_left(self._order, waiting) + 1

    def first(self, count: int) -> Sequence[Waiting]:
        """Return those who wait longest."""
        return self._order[:count]

    def _open(self, waiting: Waiting) -> None:
        insort(self._rooms.setdefault(self._room_of(waiting), []), waiting)

    def _shut(self, waiting: Waiting) -> None:
        name = self._room_of(waiting)
        _take_out(self._rooms[name], waiting)
        if not self._rooms[name]:
            del self._rooms[name]

    def _room_of(self, waiting: Waiting) -> str:
        return waiting.namespace if self._has_rooms else ""


def _take_out(of: list[Waiting], waiting: Waiting) -> None:
    del of[bisect_left(of, waiting)]
