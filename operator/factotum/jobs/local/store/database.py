"""The file of jobs: SQLite, one process, one writer.

All writes go through one thread on one connection, which also does the
checkpoints: versions of SQLite up to 3.51.2 can lose commits when two
connections write and checkpoint at once. What waits for it together is
committed together. Readers have connections of their own, which cannot write,
fetch all and hold nothing open.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from factotum.jobs.errors import BackendError, NoRoomError
from factotum.jobs.local.store.schema import MIGRATIONS

logger = logging.getLogger(__name__)

Statement = tuple[str, Sequence[Any]]

_BATCH: Final = 256
_WAL_BYTES: Final = 8 * 1024 * 1024
"""How large the log of writes gets before it goes into the file."""
_IDLE_SECONDS: Final = 2.0
_REMOTE: Final = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "glusterfs", "fuse.glusterfs")
"""File systems whose locks and memory maps are not to be trusted with a write-ahead log."""


class DatabaseError(BackendError):
    """The file of jobs cannot be used; the text says how to mend it."""


class DiskFullError(DatabaseError, NoRoomError):
    """The disk has no room."""


class Database:
    """An open file of jobs. Belongs to one event loop.

    Args:
        folder: where it is; made if need be. One server at a time.

    Raises:
        DatabaseError: it cannot be used.
    """

    _migrations = MIGRATIONS

    def __init__(self, folder: Path) -> None:
        self._path = folder / "jobs.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Either may be moved or swept away while a server uses the other.
            self._locks = [_lock(folder, folder / "server.lock"), _lock(folder, self._path)]
        except OSError as error:
            msg = f"the data folder {folder} cannot be used: {error}; see --data-dir"
            raise DatabaseError(msg) from None
        kind = _file_system(folder)
        if kind.startswith(_REMOTE):
            msg = f"the data folder {folder} is on {kind}: choose a local disk with --data-dir"
            raise DatabaseError(msg)
        try:
            self._writer = self._connect()
            self._prepare()
            self._identity = _identity(self._path)
            self.reader = self._connect(readonly=True)
        except sqlite3.Error as error:
            msg = f"{self._path} cannot be used: {error}; move it away to begin anew"
            raise DatabaseError(msg) from None
        self._queue: queue.SimpleQueue[tuple[list[Statement], asyncio.Future[None]] | None]
        self._queue = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="jobs-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._queue.put(None)
        self._thread.join()
        self.reader.close()
        for lock in self._locks:
            os.close(lock)

    async def write(self, *statements: Statement) -> None:
        """Write, all of it or nothing; once this returns no crash undoes it.

        Raises:
            DiskFullError: nothing was written, for there is no room.
            DatabaseError: nothing was written.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((list(statements), future))
        await future

    def connect(self) -> sqlite3.Connection:
        """Return a connection for a thread that reads much; it cannot write."""
        return self._connect(readonly=True)

    def wal_bytes(self) -> int:
        """Return how large the log of writes is."""
        try:
            return os.stat(f"{self._path}-wal").st_size  # noqa: PTH116 - the path is text here
        except OSError:
            return 0

    def _connect(self, *, readonly: bool = False) -> sqlite3.Connection:
        mode = "ro" if readonly else "rwc"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _prepare(self) -> None:
        writer = self._writer
        writer.execute("PRAGMA journal_mode = WAL")
        # An accepted job and a verdict are to outlive a power cut as well.
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        found = writer.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({found})")
        version = writer.execute("PRAGMA user_version").fetchone()[0]
        if not 0 <= version <= len(self._migrations):
            raise sqlite3.DatabaseError(f"it is of a newer version ({version})")
        for number, script in enumerate(self._migrations[version:], version + 1):
            writer.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
        if not _tables(writer) >= self._wanted_tables():
            raise sqlite3.DatabaseError("its tables are not those of this server")

    def _wanted_tables(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(";".join(self._migrations))
            return _tables(fresh)

    # --- the writer's thread ------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._checkpoint("TRUNCATE", above=0)
                continue
            batch, is_over = self._gather(first)
            if batch:
                self._commit(batch)
                self._checkpoint("PASSIVE", above=_WAL_BYTES)
            if is_over:
                self._checkpoint("TRUNCATE", above=0)
                self._writer.close()
                return

    def _gather(
        self, first: tuple[list[Statement], asyncio.Future[None]] | None
    ) -> tuple[list[tuple[list[Statement], asyncio.Future[None]]], bool]:
        """Take what waits; say whether the end is among it."""
        batch = []
        item = first
        while item is not None:
            batch.append(item)
            if len(batch) == _BATCH:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[tuple[list[Statement], asyncio.Future[None]]]) -> None:
        problem = self._try([statements for statements, _ in batch])
        if problem is not None and len(batch) > 1 and not isinstance(problem, DiskFullError):
            # What is wrong with one of them is not the others' fault.
            for each in batch:
                self._commit([each])
            return
        if problem is not None:
            logger.warning("%s", problem)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, [future for _, future in batch], problem)

    def _try(self, batch: list[list[Statement]]) -> DatabaseError | None:
        try:
            self._check_presence()
            self._writer.execute("BEGIN IMMEDIATE")
            for statements in batch:
                for sql, values in statements:
                    self._writer.execute(sql, values)
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - without this thread nothing is written any more
            # SQLite itself has rolled back what a full disk ended, and says so if asked again.
            if self._writer.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
            kind = DiskFullError if _is_full(error) else DatabaseError
            return kind(f"{self._path} cannot be written: {error}")
        return None

    def _check_presence(self) -> None:
        """Make sure that it is there: SQLite would write on, and nobody would ever find it."""
        if _identity(self._path) != self._identity:
            raise sqlite3.OperationalError("it was removed or replaced: restart the server")

    def _checkpoint(self, kind: str, *, above: int) -> None:
        if self.wal_bytes() > above:
            with contextlib.suppress(sqlite3.Error):  # a full disk: tried again later
                self._writer.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()


def _tables(connection: sqlite3.Connection) -> set[str]:
    """Return what a file has: tables and indexes, as they were made."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {each[0] for each in found}


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file it is; None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - for each write: half the time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_full(error: Exception) -> bool:
    # The second is what SQLite says if its shared memory, a file beside, cannot grow.
    codes = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return getattr(error, "sqlite_errorcode", None) in codes


def _settle(futures: Sequence[asyncio.Future[None]], problem: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(problem)


def _lock(folder: Path, path: Path) -> int:
    """Hold a file, which is made if need be: only its owner may read it, whoever may its folder.

    What SQLite puts beside its own has the same mode.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        msg = f"another server uses {folder}: stop it, or choose another --data-dir"
        raise DatabaseError(msg) from None
    return descriptor


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on; empty if nobody says."""
    wanted = str(folder.resolve())
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                fields, _, rest = line.partition(" - ")
                point = fields.split(" ")[4]
                is_above = wanted == point or wanted.startswith(point.rstrip("/") + "/")
                if is_above and len(point) >= len(best):
                    best, kind = point, rest.split(" ")[0]
    except (OSError, IndexError):
        return ""
    return kind
