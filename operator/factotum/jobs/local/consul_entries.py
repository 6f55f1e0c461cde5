"""Entries in Consul: where old servers, scripts and other boxes look.

A job is taken by compare-and-set before it is kept, so that of two servers one
has it. Later changes are written behind, in order, and an outage delays them and
nothing else: what was not written is tried again until it is. A Consul that does
not answer is waited for once; until it does again, nobody else waits.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Final

from factotum.jobs.errors import BadEntryError, DuplicateJobError
from factotum.jobs.local.entries import Keeper, OwnEntries, Start, entry_of
from factotum.jobs.local.store.database import DatabaseError
from factotum.jobs.local.store.ledger import Ledger
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import Stranded
from factotum.persistence.consul import ConsulStore, StoredValue
from factotum.persistence.entries import ORIGINAL_NAME, Entry, EntryState, StoredEntry
from factotum.persistence.errors import (
    StoreConflictError,
    StoreError,
    StoreFailingError,
    StoreUnreachableError,
)

logger = logging.getLogger(__name__)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TRIES: Final = 5
_RETRY_SECONDS: Final = 2.0
_MAX_RETRY_SECONDS: Final = 30.0
_SLOW_SECONDS: Final = 0.9
"""A failure that took so long was a wait for somebody who does not answer."""
_REST_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 1.0


class ConsulEntries:
    """Implements ``Entries`` in Consul. Belongs to one event loop.

    Args:
        store: Consul.
        own: tells of our own jobs while Consul does not answer.
        name: of this server.
        prefix: of the keys; slashes at its ends are dropped, nothing would be found behind them.
    """

    def __init__(self, store: ConsulStore, own: OwnEntries, name: str, prefix: str) -> None:
        self._store = store
        self._own = own
        self._name = name
        self._prefix = prefix.strip("/")
        self._unwritten: dict[str, deque[Entry]] = {}
        self._written: dict[str, Entry] = {}
        self._writers: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._told: dict[str, Entry] = {}
        self._ledger: Ledger | None = None
        self._ends: dict[str, Row] = {}
        self._rests_until = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def start(self, ledger: Ledger, keeper: Keeper) -> None:
        """Bring the entries level: of jobs that have not ended, and of ends it never heard of."""
        await self._own.start(ledger, keeper)
        self._ledger, ledger.has_to_tell = ledger, True
        for row in (*ledger.open.values(), *ledger.untold()):
            self.note(row)
        if self._name != ORIGINAL_NAME:
            self._closing = asyncio.create_task(self._close_orphans(ledger))

    async def _close_orphans(self, ledger: Ledger) -> None:
        """Close entries of our name that nobody knows any more: they block their jobs for ever.

        Under a name that is ours alone, that is: the original's default is everybody's.
        """
        try:
            stored = await self._store.entries(self._prefix)
            claimed = await self._claimed()
        except StoreError as error:
            logger.warning("Entries of jobs that are gone are not closed: %s", error)
            return
        for path, value in stored.items():
            entry = StoredEntry.parse(value.value)
            if entry is None or entry.last_run_from != self._name:
                continue
            job_id = path.rpartition("/")[2]
            if entry.state == EntryState.DONE or ledger.holder(job_id) is not None:
                continue
            if job_id in claimed:
                continue
            with contextlib.suppress(StoreError):  # it has changed: somebody knows it
                payload = entry.closed().to_json()
                await self._store.swap(path, payload, revision=value.revision)
                logger.warning("The entry of job %s, which is gone, is closed", job_id)

    async def _claimed(self) -> Collection[str]:
        """Return the ids of jobs that a box has: here nobody but this one is known."""
        return ()

    async def begin(self, row: Row) -> Start:  # noqa: ARG002 - the protocol's
        """Nobody takes a job from this box."""
        return Start.NOW

    def may_start(self, row: Row) -> bool:  # noqa: ARG002 - the protocol's
        """Nobody takes a job from this box."""
        return True

    def stranded(self) -> Sequence[Stranded]:
        """No other box's jobs are looked at."""
        return ()

    async def stop(self) -> None:
        """Write what can be written at once; the rest is known to the file of jobs."""
        if self._closing is not None:
            self._closing.cancel()
        if self._writers:
            await asyncio.wait(self._writers.values(), timeout=_LAST_SECONDS)
        for task in tuple(self._writers.values()):
            task.cancel()
        self._store.close()

    def path(self, job_id: str) -> str | None:
        """Return the key of a job id, which may begin with the prefix; None: it can have none."""
        if self._prefix:
            job_id = job_id.removeprefix(f"{self._prefix}/")
        if not is_job_id(job_id):
            return None  # in a request it would lead elsewhere
        return f"{self._prefix}/{job_id}" if self._prefix else job_id

    # --- taking ----------------------------------------------------------------------------

    async def take(self, row: Row, check_room: Callable[[], None]) -> None:
        """Make a job ours, or find out whose it is (see ``Entries.take``)."""
        path = self._key(row.job_id)
        queued = entry_of(row, self._name)
        for _ in range(_TRIES):
            try:
                stored = await self._get(path)
            except StoreError as error:
                self._complain_of_reading(row.job_id, error)
                check_room()
                return
            self._respect(row.job_id, stored)
            check_room()
            try:
                await self._put(path, row.job_id, queued, stored.revision)
            except StoreConflictError:
                continue
            except StoreError as error:
                self._complain_of_writing(path, queued, error)
                return
            self._written[row.job_id] = queued
            # What an earlier job of this id has left unwritten says nothing any more.
            self._unwritten.pop(row.job_id, None)
            return
        raise DuplicateJobError(row.job_id)

    def _respect(self, job_id: str, stored: StoredValue) -> None:
        """Leave alone what somebody else has queued or at work."""
        if not stored.value:
            logger.debug("No state found for job entry id='%s'", job_id)
            return
        entry = Entry.parse(stored.value)
        if entry is None:
            raise BadEntryError(f"what is stored under '{self._key(job_id)}' is no job entry")
        logger.debug("Job entry id='%s' state='%s'", job_id, entry.state)
        # What we wrote last is of a job of ours that goes on: it was suspended.
        if entry.state != EntryState.DONE and entry != self._written.get(job_id):
            raise DuplicateJobError(job_id)

    # --- looking up ------------------------------------------------------------------------

    async def entry(self, job_id: str) -> Entry | None:
        """Return the entry of a job id, whichever server's it is (see ``Entries.entry``)."""
        path = self.path(job_id)
        if path is None:
            return None
        try:
            stored = await self._get(path)
        except StoreError as error:
            self._complain_of_reading(job_id, error)
            return await self._own.entry(job_id)
        if not stored.value:
            return None
        entry = Entry.parse(stored.value)
        if entry is None:
            raise BadEntryError(f"what is stored for id='{job_id}' is no job entry")
        return entry

    # --- writing behind ----------------------------------------------------------------------

    def note(self, row: Row) -> None:
        """Write a job's change, soon and in order."""
        job_id = row.job_id
        entry = entry_of(row, self._name)
        waiting = self._unwritten.get(job_id)
        newest = waiting[-1] if waiting else self._written.get(job_id)
        self._note_end(row)
        if newest != entry:
            self._push(job_id, entry)

    def _note_end(self, row: Row) -> None:
        """Remember an end until its entry says it."""
        if row.is_done:
            self._ends[row.job_id] = row
        else:
            self._ends.pop(row.job_id, None)

    def _push(self, job_id: str, entry: Entry) -> None:
        """Have an entry written after those that wait."""
        self._unwritten.setdefault(job_id, deque()).append(entry)
        if job_id in self._writers:
            self._news[job_id].set()
            return
        self._begin_writing(job_id)

    def _begin_writing(self, job_id: str) -> None:
        self._news[job_id] = asyncio.Event()
        task = asyncio.create_task(self._write_all(job_id))
        self._writers[job_id] = task
        task.add_done_callback(lambda done: self._end_writer(job_id, done))

    def _end_writer(self, job_id: str, task: asyncio.Task[None]) -> None:
        self._writers.pop(job_id, None)
        self._news.pop(job_id, None)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            logger.error("unexpected: %r", error, exc_info=error)
        elif self._unwritten.get(job_id):
            self._begin_writing(job_id)  # it came while the writer was about to end

    async def _write_all(self, job_id: str) -> None:
        path = self._key(job_id)
        pause = _RETRY_SECONDS
        while waiting := self._unwritten.get(job_id):
            entry = waiting[0]
            self._news[job_id].clear()
            try:
                await self._write(path, job_id, entry)
            except StoreError as error:
                if not isinstance(error, StoreConflictError):
                    self._complain_of_writing(path, entry, error)
                if len(waiting) > 1:
                    waiting.popleft()  # the next one says more
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._news[job_id].wait()
                pause = min(_MAX_RETRY_SECONDS, pause * 2)
            else:
                pause = _RETRY_SECONDS
                if waiting and waiting[0] is entry:
                    waiting.popleft()
                    self._remember(job_id, entry)
                    await self._forget_end(job_id, entry)
        self._unwritten.pop(job_id, None)
        self._told.pop(job_id, None)

    async def _write(self, path: str, job_id: str, entry: Entry) -> None:
        stored = await self._get(path)
        found = Entry.parse(stored.value) if stored.value else None
        is_others = found is not None and found.last_run_from != self._name
        if found is not None and is_others and found.state != EntryState.DONE:
            return  # another server has taken the job meanwhile: it tells of it
        await self._put(path, job_id, entry, stored.revision)

    def _remember(self, job_id: str, entry: Entry) -> None:
        if entry.state == EntryState.DONE:
            self._written.pop(job_id, None)
        else:
            self._written[job_id] = entry

    async def _forget_end(self, job_id: str, entry: Entry) -> None:
        row = self._ends.get(job_id)
        if self._ledger is None or row is None or entry_of(row, self._name) != entry:
            return  # no end, or that of an earlier job of this id
        del self._ends[job_id]
        with contextlib.suppress(DatabaseError):  # the next server tells it once more
            await self._ledger.told(row)

    # --- requests ----------------------------------------------------------------------------

    def _key(self, job_id: str) -> str:
        path = self.path(job_id)
        assert path is not None, "our own ids are digits and letters"  # noqa: S101 - for mypy
        return path

    async def _get(self, path: str) -> StoredValue:
        with self.resting():
            return await self._store.get(path)

    async def _put(self, path: str, job_id: str, entry: Entry, revision: int) -> None:
        logger.debug("Persist [%s]::[%s]", job_id, entry.state)
        with self.resting():
            await self._store.swap(path, entry.to_json(), revision=revision)

    def _complain_of_reading(self, job_id: str, error: StoreError) -> None:
        if not isinstance(error, StoreFailingError):  # of an answer the original says nothing
            logger.error("Persistence Error: could not get key: %s", job_id)
        logger.info("%s", error)

    def _complain_of_writing(self, path: str, entry: Entry, error: StoreError) -> None:
        """Say once that an entry is not written; that it is tried again needs no words."""
        job_id, state = entry.request.job_id, entry.state
        if self._told.get(job_id) == entry:
            return
        self._told[job_id] = entry
        text = entry.to_json().decode()
        logger.error("Persistence Error: could not set K/V: %s::%s", path, text)
        logger.error("Persistence Error: Failed to update [%s] to [%s]", job_id, state)
        logger.info("%s", error)

    def resting(self) -> AbstractContextManager[None]:
        """Return what a request is made within, so that only one waits for who does not answer."""
        return _Rest(self)

    def rest(self) -> None:
        """Ask nothing for a while."""
        self._rests_until = time.monotonic() + _REST_SECONDS

    def check_rest(self) -> None:
        """Make sure that Consul may be asked.

        Raises:
            StoreUnreachableError: it did not answer a moment ago.
        """
        if time.monotonic() < self._rests_until:
            raise StoreUnreachableError("Consul did not answer a moment ago")


def is_job_id(text: str) -> bool:
    """Whether a text can be a job's id, and so a part of its keys."""
    return bool(_ID.fullmatch(text))


class _Rest(AbstractContextManager[None]):
    """Notices a Consul that does not answer: only the first to ask waits for it."""

    def __init__(self, entries: ConsulEntries) -> None:
        self._entries = entries
        self._began = 0.0

    def __enter__(self) -> None:
        self._entries.check_rest()
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_slow = time.monotonic() - self._began > _SLOW_SECONDS
        if kind is not None and issubclass(kind, StoreUnreachableError) and is_slow:
            self._entries.rest()
