"""The namespace's jobs as they were last seen, and who waits for a change.

Filled by one list and watch, and by the answers to our own writes. Belongs to
one event loop; knows no requests.
"""

import asyncio
import bisect
from collections import OrderedDict, defaultdict
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from factotum.core.words.states import JobState
from factotum.jobs.kubernetes.objects import naming, records
from factotum.jobs.kubernetes.objects.records import Record
from factotum.jobs.views import MAX_COUNT, MAX_PAGE, JobPage, JobQuery, JobView
from factotum.kube.api import RawObject

_MOST_GONE: Final = 1024
_MOST_BORN: Final = 4096


class Shelf:
    """Records of all jobs, by UID and otherwise."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._by_job_id: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._by_key: dict[str, str] = {}
        self._ages: list[tuple[int, str]] = []
        self._line: list[tuple[int, str]] = []
        self._working: set[str] = set()
        self._recent: OrderedDict[str, int] = OrderedDict()
        """UIDs in the order of their versions."""
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._awaited: dict[str, asyncio.Future[bool]] = {}
        self._births: OrderedDict[str, bool] = OrderedDict()
        self._is_listing = False
        self._changed: asyncio.Future[None] | None = None
        self.is_complete = False
        """Whether everything was listed once."""
        self.sequence = 0
        """The newest version seen."""

    # --- filling ----------------------------------------------------------------------------

    def listing(self, begins: bool) -> None:  # noqa: FBT001 - the reflector's word
        """Hear that everything is being listed, or was: in between it is of no one moment."""
        self._is_listing = begins
        if begins:
            return
        self.is_complete = True
        self._recent = OrderedDict(sorted(self._recent.items(), key=lambda each: each[1]))
        for uid in [uid for uid in self._awaited if uid in self._records]:
            self._bear(uid)

    def see(self, raw: RawObject) -> None:
        """Take in what a list or watch says."""
        uid = str(raw["metadata"]["uid"])
        is_new = uid not in self._records or uid in self._awaited
        self.note(raw)
        if is_new and not self._is_listing:
            self._bear(uid)

    def note(self, raw: RawObject) -> None:
        """Take in what a request was answered."""
        record = records.read(raw)
        known = self._records.get(record.uid)
        if record.uid in self._gone or (known is not None and known.version >= record.version):
            return
        if known is not None:
            self._take_out(known)
        self._put_in(record)
        self._tell(record.version)

    def drop(self, raw: RawObject) -> None:
        """Hear that a job is gone."""
        uid = str(raw["metadata"]["uid"])
        self._gone[uid] = None
        if len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)
        record = self._records.get(uid)
        if record is not None:
            self._take_out(record)
            self._tell(0)

    def known(self) -> dict[str, RawObject]:
        """Return what the reflector must know of each, by UID."""
        return {uid: {"metadata": {"uid": uid}} for uid in self._records}

    def version(self, uid: str) -> int:
        """Return the newest version of a job, 0 if it is not known."""
        record = self._records.get(uid)
        return 0 if record is None else record.version

    def _put_in(self, record: Record) -> None:
        uid = record.uid
        self._records[uid] = record
        self._by_job_id[record.view.job_id][uid] = record
        self._by_key[record.view.key] = uid
        bisect.insort(self._ages, record.age)
        if record.waits:
            bisect.insort(self._line, record.turn)
        if record.view.state == JobState.WORKING:
            self._working.add(uid)
        self._recent[uid] = record.version
        self._recent.move_to_end(uid)

    def _take_out(self, record: Record) -> None:
        uid = record.uid
        del self._records[uid]
        shared = self._by_job_id[record.view.job_id]
        del shared[uid]
        if not shared:
            del self._by_job_id[record.view.job_id]
        del self._by_key[record.view.key]
        _remove(self._ages, record.age)
        if record.waits:
            _remove(self._line, record.turn)
        self._working.discard(uid)
        del self._recent[uid]

    # --- telling ----------------------------------------------------------------------------

    def _tell(self, version: int) -> None:
        self.sequence = max(self.sequence, version)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

    def next_change(self) -> asyncio.Future[None]:
        """Return what is done at the next change; take it before looking, then await it."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def changed(self, since: int, limit: int) -> list[Record]:
        """Return the jobs that changed after a version, in the order of their versions."""
        found: list[Record] = []
        for uid in reversed(self._recent):
            if self._recent[uid] <= since and not self._is_listing:
                break
            if self._recent[uid] > since:
                found.append(self._records[uid])
        found.sort(key=lambda record: record.version)
        return found[:limit]

    async def has_rival(self, uid: str, seconds: float) -> bool | None:
        """Wait until the watch has shown a job that was just made; say who else was there.

        The watch tells of everything in the order in which it happened. So of two
        jobs of one job id the later one finds the earlier, and never the other
        way round.

        Returns:
            Whether another job of its job id was open when it was made; None: the
            watch did not say in time.
        """
        if uid in self._births:
            return self._births.pop(uid)
        if uid in self._records and not self._is_listing:
            return self._rival_of(uid)
        shown: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited[uid] = shown
        try:
            async with asyncio.timeout(seconds):
                return await shown
        except TimeoutError:
            return None
        finally:
            del self._awaited[uid]

    def _bear(self, uid: str) -> None:
        """Note who is there when the watch shows a job for the first time."""
        shown = self._awaited.get(uid)
        if shown is not None:
            if not shown.done():
                shown.set_result(self._rival_of(uid))
            return
        # The request that made it may be answered later than the watch tells of it.
        self._births[uid] = self._rival_of(uid)
        if len(self._births) > _MOST_BORN:
            self._births.popitem(last=False)

    def _rival_of(self, uid: str) -> bool:
        record = self._records.get(uid)
        return record is not None and self.holder(record.view.job_id, but=uid) is not None

    # --- looking ----------------------------------------------------------------------------

    def holder(self, job_id: str, *, but: str = "") -> Record | None:
        """Return an open job of a job id."""
        shared = self._by_job_id.get(job_id) or {}
        return next((r for r in shared.values() if r.is_open and r.uid != but), None)

    def newest(self, job_id: str) -> Record | None:
        """Return the job of a job id that counts: the open one, else the newest."""
        shared = (self._by_job_id.get(job_id) or {}).values()
        return max(shared, key=lambda r: (r.is_open, *r.age), default=None)

    def last_run(self, job_id: str) -> int:
        """Return the highest number that a run of a job has."""
        shared = (self._by_job_id.get(job_id) or {}).values()
        return max((naming.run_number(r.name, job_id) for r in shared), default=0)

    def by_key(self, key: str) -> Record | None:
        """Return the job of a key."""
        uid = self._by_key.get(key)
        return None if uid is None else self._records[uid]

    @property
    def waiting(self) -> int:
        """How many jobs stand in the queue."""
        return len(self._line)

    @property
    def active(self) -> int:
        """How many jobs are at work."""
        return len(self._working)

    def view(self, record: Record) -> JobView:
        """Show a job with its place in the queue."""
        if not record.waits:
            return record.view
        place = bisect.bisect_left(self._line, record.turn)
        return replace(record.view, position=place + 1)

    def page(self, query: JobQuery) -> JobPage:
        """Return jobs, newest first (see ``Backend.list``)."""
        fitting = (
            record for age in reversed(self._ages) if _fits(record := self._records[age[1]], query)
        )
        found = list(fitting)
        total = min(len(found), MAX_COUNT)
        after = _place(query.cursor)
        rest = found if after is None else [r for r in found if r.age < after]
        limit = max(1, min(MAX_PAGE, query.limit))
        page = list(islice(rest, limit))
        cursor = f"{page[-1].age[0]}.{page[-1].uid}" if len(rest) > limit else ""
        return JobPage(jobs=tuple(map(self.view, page)), cursor=cursor, total=total)


def _place(cursor: str) -> tuple[int, str] | None:
    moment, _, uid = cursor.partition(".")
    if not (moment.isascii() and moment.isdecimal() and len(moment) < 19):
        return None
    return int(moment), uid


def _fits(record: Record, query: JobQuery) -> bool:
    view = record.view
    text = query.text.lower()
    return (
        (not query.states or view.state in query.states)
        and (not query.outcomes or view.outcome in query.outcomes)
        and (
            not text
            or text in view.name.lower()
            or text in view.factfile_path.lower()
            or view.job_id.startswith(text)
        )
        and (query.tag is None or view.tags.get(query.tag[0]) == query.tag[1])
    )


def _remove(ages: list[Any], age: tuple[int, str]) -> None:
    del ages[bisect.bisect_left(ages, age)]
