"""Who runs: workers are given to waiting jobs in their order, and taken back when runners end."""

import asyncio
import contextlib
import heapq
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from factotum.core.wire import variables
from factotum.core.words import sentences
from factotum.core.words.reasons import Reason
from factotum.jobs.errors import BackendError
from factotum.jobs.local.entries import Entries, Start
from factotum.jobs.local.running import course
from factotum.jobs.local.running.desk import Desk
from factotum.jobs.local.running.folders import TOKEN, VERDICT, Folders
from factotum.jobs.local.running.runners import Runners
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.local.store import rows
from factotum.jobs.local.store.ledger import Ledger, now_ms
from factotum.jobs.local.store.rows import Row
from factotum.runner import host

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 1.0
_WARM_UP_SECONDS: Final = 1.0
SOCKET: Final = "runners.sock"
_UNSEEN: Final = "it waits for Consul: it is begun once the other boxes see this one there again"


class Crew:
    """Gives out workers. Belongs to one event loop.

    Args:
        on_change: is told of each job's change once it is durable.
        entries: say whether a job may be begun.
    """

    def __init__(
        self,
        ledger: Ledger,
        folders: Folders,
        settings: LocalSettings,
        on_change: Callable[[Row], None],
        entries: Entries,
    ) -> None:
        self._ledger = ledger
        self._folders = folders
        self._settings = settings
        self._on_change = on_change
        self._entries = entries
        self.desk = Desk(ledger, folders, settings, on_change, self._free, entries.may_start)
        self._runners = Runners(self._on_end, self._on_failure, settings.folder / "runners.log")
        self.active: dict[int, str] = {}
        """Jobs that have a worker, and the attempt and launch that has it."""
        self._adopted: set[int] = set()
        self._in_line: dict[int, int] = {}
        self._queue: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._put_by: set[int] = set()
        self._why: dict[int, str] = {}
        """What keeps jobs from being begun."""
        self._is_closing = False

    # --- start and end -------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier server has left: verdicts first, then who still runs."""
        for row in sorted(self._ledger.open.values(), key=lambda row: row.place):
            if row.claim_id is None or row.reason == Reason.SUSPENDED:
                self.join(row.key)  # nothing of it runs
                continue
            self.active[row.key] = row.claimant
            if self._folders.is_alive(row.key, row.attempt):
                self._adopted.add(row.key)
            else:
                how = "while no server ran"
                await self.desk.ended(row.key, row.attempt, row.launch, how)
        self._begin(self._warm_up())
        self._begin(self._look_after())
        self.fill()

    async def _warm_up(self) -> None:
        """Have ready what starts runners, unless a job has asked for it meanwhile."""
        await asyncio.sleep(_WARM_UP_SECONDS)
        if not self._runners.was_up:
            with contextlib.suppress(OSError):  # the first job tries again
                self._runners.start_up()

    async def stop(self) -> None:
        """Give out nothing more; runners go on."""
        self._is_closing = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runners.shut_down()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("unexpected: %r", error, exc_info=error)

    # --- the queue -----------------------------------------------------------------------

    def join(self, key: int) -> None:
        """Put a job in line, if it wants a worker as it is now."""
        row = self._ledger.open.get(key)
        if row is not None and course.is_waiting(row) and key not in self.active:
            self._in_line[key] = row.place
            heapq.heappush(self._queue, (row.place, key))

    def leave(self, key: int) -> None:
        """Take a job out of the line."""
        self._in_line.pop(key, None)
        self._why.pop(key, None)

    def why_waiting(self, key: int) -> str:
        """Return what keeps a job from being begun, as a sentence; empty: nothing is known."""
        return self._why.get(key, "")

    def waiting(self) -> list[int]:
        """Return the keys of those in line, in order."""
        return sorted(self._in_line, key=self._in_line.__getitem__)

    def waiting_count(self) -> int:
        """Return how many are in line."""
        return len(self._in_line)

    def position(self, key: int) -> int | None:
        """Return a job's place in line, from 1; None: it is in none."""
        place = self._in_line.get(key)
        return None if place is None else sum(each <= place for each in self._in_line.values())

    def fill(self) -> None:
        """Give out free workers."""
        while self._queue and len(self.active) < self._settings.workers and not self._is_closing:
            place, key = heapq.heappop(self._queue)
            if self._in_line.get(key) != place:
                continue  # it has left the line, or stands elsewhere in it
            del self._in_line[key]
            row = self._ledger.open.get(key)
            if row is not None and course.is_waiting(row) and key not in self.active:
                self._give(row)

    def _give(self, row: Row) -> None:
        name = f"{row.attempt}-{row.launch + 1}"
        self.active[row.key] = name
        self._begin(self._launch(row, name))

    def _free(self, key: int, name: str) -> None:
        if self.active.get(key) == name:
            del self.active[key]
            self._adopted.discard(key)
        self.join(key)
        self.fill()

    def _put_by_if(self, key: int, name: str, *, is_later: bool) -> None:
        """Let others go first while a job may not be begun; it keeps its place."""
        if self.active.get(key) == name:
            del self.active[key]
        row = self._ledger.open.get(key)
        if is_later and row is not None and course.is_waiting(row) and key not in self.active:
            self._in_line[key] = row.place
            self._put_by.add(key)
            self._why[key] = _UNSEEN
        self.fill()

    def go_on(self) -> None:
        """Give out workers to jobs that could not be begun."""
        keys, self._put_by = self._put_by, set()
        for key in keys:
            self._why.pop(key, None)
            self.join(key)
        self.fill()

    # --- runners -------------------------------------------------------------------------

    async def _launch(self, row: Row, name: str) -> None:
        try:
            if row.reason == Reason.RELAUNCHING:
                # What keeps runners from starting anything may be over in a moment.
                await asyncio.sleep(_PAUSE_SECONDS / 8 * 2**row.launch)
            start = await self._entries.begin(row)
            if start is not Start.NOW:
                self._put_by_if(row.key, name, is_later=start is Start.LATER)
                return
            problem = await self._find_mismatch(row)
            now = self._ledger.open.get(row.key)
            if now is None or not course.is_waiting(now) or now.launch != row.launch:
                self._free(row.key, name)  # an order came meanwhile
                return
            if problem:
                await self._end_elsewhere(now, problem)
                self._free(row.key, name)
                return
            row = course.launched(now, os.urandom(16).hex())
            # Known before it exists: whatever happens in between, no launch is made twice.
            await self._ledger.put(row)
            folder = self._folders.prepare(row.key, row.attempt, row.token)
            environ = {
                variables.OPERATOR_URL: f"unix:{self._settings.folder / SOCKET}",
                variables.OPERATOR_CA: "-",
                variables.JOB_UID: str(row.key),
                variables.ATTEMPT: str(row.attempt),
                variables.LAUNCH: str(row.launch),
                variables.TOKEN_FILE: str(folder / TOKEN),
                variables.TERMINATION_LOG: str(folder / VERDICT),
                variables.LOG_FOLDER: str(folder),
                variables.LOG_SIZE: str(self._settings.log_bytes),
            }
            if '"no_colour": true' in row.spec:
                environ[f"{variables.TASK_PREFIX}CLICOLOR"] = "0"
            await self._runners.start(f"{row.key}-{name}", folder, environ)
            self._why.pop(row.key, None)
        except Exception as error:  # noqa: BLE001 - its worker would never be given out again
            # RuntimeError: there is no room for another thread.
            is_known = isinstance(error, BackendError | OSError | RuntimeError)
            logger.warning(
                "job %s cannot be started yet: %s", row.job_id, error, exc_info=not is_known
            )
            self._why[row.key] = f"it cannot be started yet: {error}"
            await self._try_again(row.key, name)

    async def _find_mismatch(self, row: Row) -> str:
        """Return why a job is not for this machine, as a sentence; empty: it is."""
        constraints = self._ledger.spec(row).get("constraints")
        value = constraints.get("host") if isinstance(constraints, dict) else None
        problem = None if value is None else await asyncio.to_thread(host.find_mismatch, value)
        return "" if problem is None else sentences.host_not_matched(value, problem)

    async def _end_elsewhere(self, row: Row, text: str) -> None:
        """End a job that is not for this machine: a success that did nothing."""
        now = now_ms()
        row = course.step(row, Reason.HOST_CONSTRAINT_NOT_MATCHED, text)
        row = replace(row, started_ms=now, ended_ms=now)
        await self._ledger.put(row, rows.keep_attempt(row))
        self._on_change(row)

    def _on_end(self, name: str, status: int) -> None:
        key, attempt, launch = map(int, name.split("-"))
        how = f"exit code {status}" if status >= 0 else f"signal {-status}"
        if self.active.get(key) == f"{attempt}-{launch}":
            self._begin(self._settle(key, attempt, launch, how))

    def _on_failure(self, name: str) -> None:
        """Try again, as often as it takes: no runner of the job's is to blame."""
        key, attempt, launch = map(int, name.split("-"))
        if self.active.get(key) == f"{attempt}-{launch}":
            self._begin(self._try_again(key, f"{attempt}-{launch}"))

    async def _try_again(self, key: int, name: str) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)
        self._free(key, name)

    async def _settle(self, key: int, attempt: int, launch: int, how: str) -> None:
        while True:
            try:
                await self.desk.ended(key, attempt, launch, how)
            except BackendError as error:
                # Its verdict lies in its folder: it is not lost, and the worker not free.
                logger.warning("the end of job %s cannot be kept yet: %s", key, error)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def _look_after(self) -> None:
        """Look from time to time: for runners that are nobody's children, and unsaved progress."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._runners.look_after()
            if self._runners.was_up and not self._runners.is_up:
                # Those that it had started are nobody's children now.
                self._adopted |= set(self.active)
            for key in tuple(self._adopted):
                row = self._ledger.open.get(key)
                name = self.active.get(key)
                if row is None or name != row.claimant:
                    self._adopted.discard(key)
                elif not self._folders.is_alive(key, row.attempt):
                    self._adopted.discard(key)
                    await self._settle(key, row.attempt, row.launch, "nobody saw how")
            await self.save_progress()

    async def save_progress(self) -> None:
        """Write down what reports have told, together; what cannot be written now is kept."""
        unsaved, self.desk.unsaved = self.desk.unsaved, set()
        await asyncio.gather(*map(self._save, unsaved))

    async def _save(self, key: int) -> None:
        row = self._ledger.open.get(key)
        if row is None or row.is_done:
            return
        saved = replace(row)
        try:
            await self._ledger.put(saved)
        except BackendError:  # a full disk
            now = self._ledger.open.get(key)
            if now is not None and now.sequence == row.sequence:
                self._ledger.hold(row)  # memory went back to what the file has
            self.desk.unsaved.add(key)
        else:
            self._on_change(saved)

    def give_up(self, key: int) -> None:
        """Take back the worker of a job whose launch is not to claim any more."""
        self._adopted.discard(key)
        self.active.pop(key, None)
        self._why.pop(key, None)
