"""The local backend: its parts put together, and the protocol that front doors know."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState
from factotum.jobs.backend import CHANGES_AT_ONCE, GATHER_SECONDS
from factotum.jobs.errors import (
    BackendError,
    DuplicateJobError,
    JobsError,
    NotPossibleError,
    QueueFullError,
    UnknownJobError,
)
from factotum.jobs.local.entries import Adopted, Entries
from factotum.jobs.local.running import course, outputs
from factotum.jobs.local.running.crew import SOCKET, Crew
from factotum.jobs.local.running.door import Door
from factotum.jobs.local.running.folders import Folders
from factotum.jobs.local.settings import DAY_MS, LocalSettings
from factotum.jobs.local.store import listing, rows
from factotum.jobs.local.store.database import Database
from factotum.jobs.local.store.ledger import Age, Ledger, forget_statements, now_ms
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import (
    MAX_LOG_PIECE,
    Change,
    JobDetail,
    JobPage,
    JobQuery,
    JobRequest,
    JobView,
    Load,
    LogPiece,
    LogQuery,
    Order,
    Stranded,
)
from factotum.persistence.entries import Entry

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 600.0
_SWEEP_JOBS: Final = 200
_LAST_WORDS: Final = 4096


class LocalBackend:
    """Implements ``jobs.backend.Backend`` without a cluster. Belongs to one event loop.

    Args:
        settings: where and how much.
        entries: keeps Factotum Server's entries; by itself the file of jobs has them.
        told: hears of each job's steps, and its arguments.

    Raises:
        DatabaseError: the data folder cannot be used.
    """

    def __init__(
        self,
        settings: LocalSettings,
        entries: Entries,
        told: Callable[[JobView, tuple[str, ...]], None] = lambda _view, _args: None,
    ) -> None:
        self._settings = settings
        self._entries = entries
        self._told = told
        self._database = Database(settings.folder)
        self._folders = Folders(settings.folder)
        self.ledger = Ledger(self._database)
        # Of jobs of another file, which was here before, there may be folders and even runners.
        self.ledger.begin_behind(self._folders.highest())
        self.crew = Crew(self.ledger, self._folders, settings, self._note, entries)
        self._door = Door(settings.folder / SOCKET, self.crew.desk)
        self._listing = listing.Listing(self._database)
        self._taking: set[str] = set()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up where the last server was, and begin to run jobs."""
        await self._entries.start(self.ledger, self)
        await self._door.open()
        await self.crew.start()
        if self._settings.keep_days:
            self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Let go; the queue is kept, and runners go on."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self.crew.stop()
        await self._door.close()
        await self._entries.stop()
        self._listing.close()
        await asyncio.to_thread(self._database.close)

    # --- submissions -----------------------------------------------------------------------

    async def create(self, request: JobRequest) -> JobView:
        """Put a job into the queue (see ``Backend.create``)."""
        job_id = request.job_id
        if self.ledger.holder(job_id) is not None or job_id in self._taking:
            raise DuplicateJobError(job_id)
        self._taking.add(job_id)
        try:
            row = self._new(request)
            await self._entries.take(row, self._check_room)
            await self._add(row, request.factfile)
        finally:
            self._taking.discard(job_id)
        return self._begun(row)

    def _begun(self, row: Row) -> JobView:
        """Tell of a job that is in the queue now, and have it run."""
        self._note(row)
        self.crew.join(row.key)
        self.crew.fill()
        return self._view(row)

    async def _add(self, row: Row, factfile: str) -> None:
        try:
            await self.ledger.add(row, rows.keep_factfile(row.factfile_hash, factfile))
        except BackendError:
            # Nobody may think that it waits here.
            self._entries.note(replace(row, state=JobState.DONE, outcome=RunState.FAILED))
            raise

    def _note(self, row: Row) -> None:
        """Tell of a change that is durable."""
        self._entries.note(row)
        self._told(rows.view(row), tuple(json.loads(row.args)))

    def _check_room(self) -> None:
        if self.crew.waiting_count() + self._arriving() >= self._settings.max_waiting:
            raise QueueFullError

    def _arriving(self) -> int:
        """Count those that are being written, as far as no worker is free for them."""
        free = self._settings.workers - len(self.crew.active)
        return max(0, len(self._taking) - 1 - max(0, free))

    def _new(self, request: JobRequest) -> Row:
        key, place = self.ledger.next_key(), self.ledger.next_place()
        return course.submitted(request, key, place, now_ms())

    # --- what other boxes do ---------------------------------------------------------------

    async def adopt(self, job: Adopted, seize: Callable[[Row], Awaitable[None]]) -> bool:
        """Take over another box's job (see ``Keeper.adopt``)."""
        request = job.request
        if self.ledger.holder(request.job_id) is not None or request.job_id in self._taking:
            return False
        self._taking.add(request.job_id)
        try:
            try:
                self._check_room()
            except QueueFullError:
                return False
            row = course.taken_over(self._new(request), job)
            await seize(row)
            await self.ledger.add(row, rows.keep_factfile(row.factfile_hash, request.factfile))
        finally:
            self._taking.discard(request.job_id)
        self._begun(row)
        return True

    async def lose(self, key: int, text: str) -> None:
        """Give up a job that another box has (see ``Keeper.lose``)."""
        row = self.ledger.get(str(key))
        if row.is_done:
            return
        if row.claim_id is not None and row.reason != Reason.SUSPENDED:
            self.crew.desk.lost[key] = text  # its end follows, whatever it comes to
            return
        self.crew.leave(key)
        row = course.step(course.fenced(row), Reason.DUPLICATE, text)
        row = replace(row, ended_ms=now_ms())
        try:
            await self.ledger.put(row)
        except BackendError:
            self.crew.join(key)
            raise
        self.crew.give_up(key)
        self._note(row)
        self.crew.fill()

    def go_on(self) -> None:
        """Begin what could not be begun (see ``Keeper.go_on``)."""
        self.crew.go_on()

    def is_arriving(self, job_id: str) -> bool:
        """Whether a job of this id is being written."""
        return job_id in self._taking

    # --- questions -------------------------------------------------------------------------

    def _view(self, row: Row) -> JobView:
        return rows.view(row, self.crew.position(row.key), self.crew.why_waiting(row.key))

    async def get(self, key: str) -> JobDetail:
        """Return a job (see ``Backend.get``)."""
        row = self.ledger.shown(key)
        return JobDetail(
            job=self._view(row),
            args=tuple(json.loads(row.args)),
            factfile=self.ledger.factfile(row.factfile_hash),
            tasks=rows.tasks(row),
            attempts=rows.attempts(self.ledger.attempts(row.key)),
            task_logs=True,
        )

    async def find(self, job_id: str) -> JobView | None:
        """Return the newest job of a job id."""
        row = self.ledger.find(job_id)
        return None if row is None else self._view(row)

    async def entry(self, job_id: str) -> Entry | None:
        """Return a job in Factotum Server's form (see ``Backend.entry``)."""
        return await self._entries.entry(job_id)

    async def list(self, query: JobQuery) -> JobPage:
        """Return jobs, newest first (see ``Backend.list``)."""
        try:
            found, cursor, total = await self._listing.page(query)
        except sqlite3.Error as error:
            raise BackendError(f"the jobs cannot be listed: {error}") from error
        line = {key: place for place, key in enumerate(self.crew.waiting(), 1)}
        why = self.crew.why_waiting
        jobs = tuple(rows.view(row, line.get(row.key), why(row.key)) for row in found)
        return JobPage(jobs=jobs, cursor=cursor, total=total)

    async def watch(
        self, since: int | None = None, key: str | None = None
    ) -> AsyncIterator[Change]:
        """Tell of each job as it is after each change (see ``Backend.watch``)."""
        place = self.ledger.sequence if since is None else since
        row = self.ledger.shown(key) if key is not None else None
        if row is not None and (since is None or row.sequence > since):
            yield self._change(row)
            place = row.sequence
        while True:
            change = self.ledger.next_change()
            if row is None:
                found = self.ledger.changed(place, CHANGES_AT_ONCE)
            else:
                row = self.ledger.shown(str(row.key))
                found = [row] if row.sequence > place else []
            for each in found:
                yield self._change(each, with_tasks=row is not None)
                place = each.sequence
            if not found:
                await change
                await asyncio.sleep(GATHER_SECONDS)  # many changes come together

    def _change(self, row: Row, *, with_tasks: bool = True) -> Change:
        return Change(
            sequence=row.sequence,
            job=self._view(row),
            tasks=rows.tasks(row) if with_tasks else (),
        )

    async def log(self, key: str, query: LogQuery) -> LogPiece:
        """Return a part of a log (see ``Backend.log``)."""
        row = self.ledger.shown(key)
        number = row.attempt if query.attempt is None else query.attempt
        if not 1 <= number <= row.attempt:
            raise UnknownJobError(f"job {key} has no attempt {number}")
        if query.task is not None and not 0 <= query.task < len(row.names):
            raise UnknownJobError(f"job {key} has no task {query.task}")
        is_over = number < row.attempt or row.state != JobState.WORKING
        return await asyncio.to_thread(
            lambda: outputs.read(
                self._folders.pieces(row.key, number, query.task),
                query.offset,
                min(query.limit, MAX_LOG_PIECE),
                complete=is_over,
            )
        )

    def last_words(self, key: str) -> str:
        """Return the end of what a job has printed, for the log."""
        row = self.ledger.shown(key)
        pieces = self._folders.pieces(row.key, row.attempt, 0)
        piece = outputs.read(pieces, -_LAST_WORDS, _LAST_WORDS, complete=True)
        return piece.data.decode("utf-8", "replace").rstrip("\n")

    def load(self) -> Load:
        """Return how busy it is."""
        return Load(
            workers=self._settings.workers,
            active=len(self.crew.active),
            waiting=self.crew.waiting_count(),
            max_waiting=self._settings.max_waiting,
        )

    def stranded(self) -> Sequence[Stranded]:
        """Return jobs of boxes that are gone (see ``Backend.stranded``)."""
        return self._entries.stranded()

    def sequence(self) -> int:
        """Return the newest change's sequence."""
        return self.ledger.sequence

    # --- orders ----------------------------------------------------------------------------

    async def resume(self, key: str) -> JobView:
        """Let a job go on, or have another attempt (see ``Backend.resume``)."""
        before = self.ledger.get(key)
        is_suspended = before.reason == Reason.SUSPENDED
        if not is_suspended and not course.has_failed(before):
            raise _not_possible(before, "nothing to resume")
        job_id = before.job_id
        is_held = not is_suspended and self.ledger.holder(job_id) is not None
        if is_held or job_id in self._taking:
            raise DuplicateJobError(job_id)
        sequence = before.sequence
        row = course.resumed(before, self.ledger.next_place())
        self._taking.add(job_id)
        try:
            await self._entries.take(row, lambda: None)
            try:
                now = self.ledger.get(key)
                if now.sequence != sequence:
                    raise _not_possible(now, "it has changed meanwhile")
                await self.ledger.put(row)
            except JobsError:
                self._entries.note(self.ledger.get(key))  # nobody may think that it waits here
                raise
        finally:
            self._taking.discard(job_id)
        return self._begun(row)

    async def suspend(self, key: str) -> JobView:
        """Stop a job until it is resumed (see ``Backend.suspend``)."""
        return await self._order(key, Order.SUSPEND)

    async def cancel(self, key: str) -> JobView:
        """End a job (see ``Backend.cancel``)."""
        return await self._order(key, Order.CANCEL)

    async def _order(self, key: str, order: Order) -> JobView:
        row = self.ledger.get(key)
        is_suspended = row.reason == Reason.SUSPENDED
        if row.is_done or (is_suspended and order == Order.SUSPEND):
            raise _not_possible(row, "nothing to stop")
        self.crew.leave(row.key)
        row = course.ordered(row, order)
        is_running = row.claim_id is not None and not is_suspended
        if not is_running:
            row = course.stopped(course.fenced(row), now_ms())
        try:
            await self.ledger.put(row)
        except BackendError:
            self.crew.join(row.key)
            self.crew.fill()
            raise
        now = self.ledger.open.get(row.key)
        if not is_running:
            self.crew.give_up(row.key)
        elif now is not None and not now.is_done and now.claim_id == row.claim_id:
            # Whose run has ended meanwhile sends his events: a signal would break that off.
            self._folders.tell_to_stop(row.key, row.attempt)
        self._note(row)
        self.crew.fill()
        return self._view(row)

    # --- keeping house ---------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Remove what ended long ago, a little at a time."""
        age = Age()
        while True:
            before = age.now_ms() - int(self._settings.keep_days * DAY_MS)
            gone = self.ledger.ended_before(before, _SWEEP_JOBS)
            if gone:
                try:
                    await self.ledger.write(*forget_statements(gone, self.ledger.sequence))
                except BackendError as error:
                    logger.warning("old jobs cannot be removed: %s", error)
                else:
                    await asyncio.to_thread(self._remove_folders, gone)
            await asyncio.sleep(_SWEEP_SECONDS if len(gone) < _SWEEP_JOBS else 1.0)

    def _remove_folders(self, gone: Sequence[Row]) -> None:
        for row in gone:
            self._folders.remove(row.key, row.attempt)


def _not_possible(row: Row, why: str) -> NotPossibleError:
    return NotPossibleError(f"job {row.key} is {row.state}, {row.reason}: {why}")
