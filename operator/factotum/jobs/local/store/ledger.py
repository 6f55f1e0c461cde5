"""All jobs that have not ended, in memory, and the file behind them.

A change is made in memory at once and is durable when ``put`` returns; nobody is
answered before. If it cannot be written, memory goes back to what the file says.
"""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from factotum.jobs.errors import UnknownJobError
from factotum.jobs.local.store import rows
from factotum.jobs.local.store.database import Database, DatabaseError, Statement
from factotum.jobs.local.store.rows import Row

_TEXTS: Final = 64
_REMEMBERED: Final = 64 * 1024
"""Characters of a factfile that is worth being kept in memory for the next job of its kind."""
_MAX_KEY: Final = 2**63 - 1


class Ledger:
    """The jobs. Belongs to one event loop.

    Args:
        database: the file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = database.reader
        self.open: dict[int, Row] = {}
        """By key, those that have no verdict, or none yet that is durable."""
        self._holders: dict[str, int] = {}
        self.has_to_tell = False
        """Whether ends are remembered until ``told`` is called: they are kept elsewhere, too."""
        self._being_written: Counter[int] = Counter()
        self._texts: dict[str, str] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        highest = self._reader.execute(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0),"
            " coalesce((SELECT max(sequence) FROM jobs), 0),"
            " coalesce((SELECT value FROM counters WHERE name = 'sequence'), 0),"
            " coalesce((SELECT max(place) FROM jobs), 0)"
        ).fetchone()
        self._key: int = highest[0]
        self._place: int = highest[3]
        self.sequence: int = max(highest[1], highest[2])
        for found in self._reader.execute("SELECT * FROM jobs WHERE state != 'DONE'").fetchall():
            self._remember(rows.read(found))

    # --- changes -------------------------------------------------------------------------

    def next_key(self) -> int:
        """Return a new job's key."""
        self._key += 1
        return self._key

    def begin_behind(self, key: int) -> None:
        """Give out no key up to this one."""
        self._key = max(self._key, key)

    def next_place(self) -> int:
        """Return a place behind everybody else's in the queue."""
        self._place += 1
        return self._place

    async def add(self, row: Row, *statements: Statement) -> None:
        """Keep a new job.

        Raises:
            DatabaseError: it is not kept.
        """
        await self._put(row, *statements, insert=True)

    async def put(self, row: Row, *statements: Statement) -> None:
        """Keep a job's change.

        Raises:
            DatabaseError: the job is as it was.
        """
        await self._put(row, *statements, insert=False)

    async def _put(self, row: Row, *statements: Statement, insert: bool) -> None:
        self.sequence += 1
        row.sequence = self.sequence
        self._remember(row)
        first = rows.insert(row) if insert else rows.update(row)
        if row.is_done and self.has_to_tell:
            statements += (rows.keep_untold(row),)
        self._being_written[row.key] += 1
        try:
            await self._database.write(first, *statements)
        except DatabaseError:
            if self.open.get(row.key) is row:
                self._restore(row)
            raise
        finally:
            self._being_written[row.key] -= 1
            if not self._being_written[row.key]:
                del self._being_written[row.key]
        if row.is_done and self.open.get(row.key) is row:
            self._forget(row)
        self._wake()

    def hold(self, row: Row) -> None:
        """Know more of a job than the file does: how a run goes on may be lost."""
        self._remember(row)

    def _remember(self, row: Row) -> None:
        self.open[row.key] = row
        self._holders[row.job_id] = row.key

    def _forget(self, row: Row) -> None:
        self.open.pop(row.key, None)
        if self._holders.get(row.job_id) == row.key:
            del self._holders[row.job_id]

    def _restore(self, row: Row) -> None:
        self._forget(row)
        stored = self._stored(row.key)
        if stored is not None and not stored.is_done:
            self._remember(stored)

    async def write(self, *statements: Statement) -> None:
        """Write what concerns no job's course."""
        await self._database.write(*statements)

    def untold(self) -> list[Row]:
        """Return the ends that were not told; none of a job id whose next job is open."""
        found = self._reader.execute(
            "SELECT jobs.* FROM jobs JOIN untold USING (key) WHERE state = 'DONE'"
        ).fetchall()
        return [row for row in map(rows.read, found) if self.holder(row.job_id) is None]

    async def told(self, row: Row) -> None:
        """Forget that an end is to be told.

        Raises:
            DatabaseError: it is remembered still.
        """
        await self._database.write(rows.forget_untold(row))

    # --- reading -------------------------------------------------------------------------

    def holder(self, job_id: str) -> Row | None:
        """Return the job of a job id that has not ended."""
        row = self.open.get(self._holders.get(job_id, 0))
        return row if row is not None and not row.is_done else None

    def get(self, key: str) -> Row:
        """Return a job as it is now, to change it.

        Raises:
            UnknownJobError: there is none of this key.
        """
        number = _number(key)
        return self._known(key, self.open.get(number) or self._stored(number))

    def shown(self, key: str) -> Row:
        """Return a job as it may be told: what no crash undoes.

        Raises:
            UnknownJobError: there is none of this key.
        """
        number = _number(key)
        row = None if number in self._being_written else self.open.get(number)
        return self._known(key, row or self._stored(number))

    def _known(self, key: str, row: Row | None) -> Row:
        if row is None:
            raise UnknownJobError(f"there is no job {key!r:.60}")
        return row

    def find(self, job_id: str) -> Row | None:
        """Return the newest job of a job id, as it may be told."""
        key = self._holders.get(job_id)
        if key is not None and key not in self._being_written:
            return self.open[key]
        found = self._reader.execute(
            "SELECT * FROM jobs WHERE job_id = ? ORDER BY key DESC LIMIT 1", (job_id,)
        ).fetchone()
        return None if found is None else rows.read(found)

    def changed(self, since: int, limit: int) -> list[Row]:
        """Return jobs whose last change comes after a sequence, in the order of their changes."""
        found = self._reader.execute(
            "SELECT * FROM jobs WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (min(since, _MAX_KEY), limit),
        ).fetchall()
        return [rows.read(each) for each in found]

    def attempts(self, key: int) -> Sequence[sqlite3.Row]:
        """Return what is kept of a job's attempts."""
        return self._reader.execute(
            "SELECT * FROM attempts WHERE key = ? ORDER BY number", (key,)
        ).fetchall()

    def factfile(self, digest: str) -> str:
        """Return a kept factfile's text."""
        text = self._texts.get(digest)
        if text is None:
            found = self._reader.execute(
                "SELECT text FROM factfiles WHERE hash = ?", (digest,)
            ).fetchone()
            text = "" if found is None else str(found[0])
            if len(self._texts) >= _TEXTS:
                self._texts.pop(next(iter(self._texts)))
            if found is not None and len(text) <= _REMEMBERED:
                self._texts[digest] = text
        return text

    def spec(self, row: Row) -> dict[str, object]:
        """Return what a work order says beside the factfile."""
        spec: dict[str, object] = json.loads(row.spec)
        return spec

    def ended_before(self, moment_ms: int, limit: int) -> list[Row]:
        """Return jobs that ended before a moment, the oldest first."""
        found = self._reader.execute(
            "SELECT * FROM jobs WHERE ended_ms < ? AND state = 'DONE' ORDER BY ended_ms LIMIT ?",
            (moment_ms, limit),
        ).fetchall()
        return [rows.read(each) for each in found]

    def _stored(self, key: int) -> Row | None:
        found = self._reader.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
        return None if found is None else rows.read(found)

    # --- who waits for changes -----------------------------------------------------------

    def next_change(self) -> asyncio.Future[None]:
        """Return what is done with the next change; take it before looking, then wait."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(future)
        future.add_done_callback(self._waiters.discard)
        return future

    def _wake(self) -> None:
        for future in tuple(self._waiters):
            if not future.done():
                future.set_result(None)


def _number(key: str) -> int:
    """Return a key's number; 0, which no job has, for what is none."""
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 19 else 0


def forget_statements(gone: Iterable[Row], sequence: int) -> list[Statement]:
    """Return the statements that remove jobs, and factfiles that no other job has."""
    keys = [row.key for row in gone]
    marks = ", ".join("?" * len(keys))
    return [
        # Sequences are never given out again, even if the jobs that had them are gone.
        ("INSERT OR REPLACE INTO counters (name, value) VALUES ('sequence', ?)", (sequence,)),
        (f"DELETE FROM jobs WHERE key IN ({marks})", keys),  # noqa: S608 - question marks
        (f"DELETE FROM untold WHERE key IN ({marks})", keys),  # noqa: S608 - question marks
        (f"DELETE FROM attempts WHERE key IN ({marks})", keys),  # noqa: S608 - question marks
        (
            "DELETE FROM factfiles WHERE NOT EXISTS"
            " (SELECT 1 FROM jobs WHERE jobs.factfile_hash = factfiles.hash)",
            (),
        ),
    ]


def now_ms() -> int:
    """Return the wall clock's time, to be shown; nothing is decided by it."""
    return time.time_ns() // 1_000_000


class Age:
    """Says what time it would be by the wall clock if nobody had set that meanwhile."""

    def __init__(self) -> None:
        self._began_ms = now_ms() - _awake_ms()

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return self._began_ms + _awake_ms()


def _awake_ms() -> int:
    """Return milliseconds that go on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
