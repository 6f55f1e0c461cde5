"""Writes that never make the run wait: what a stream's reader does not take yet is kept.

A file or a device takes everything at once. A pipe, a terminal or a socket may
have a reader that stops reading. Its share is then written by a thread, so that
timers, signals and other tasks go on; whoever produces much asks `is_full` and
holds on until there is room, so little is kept. The descriptor's own mode is
never changed, for other processes share it.
"""

from __future__ import annotations

import _thread
import os
import stat
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HIGH, _LOW = 256 * 1024, 64 * 1024
"""Bytes kept for a reader at which a task's output is left in its pipe, and read again."""

_BACKLOG = 4 * 1024 * 1024
"""Bytes kept for a reader at which no further task is started."""

_PIECE = 64 * 1024
_LOOK_SECONDS = 0.05
_LINE_FEED = 10
_EIO, _GONE = 5, (32, 104)  # EPIPE, ECONNRESET
_PTMX = 5, 2  # opening it again would make another terminal


class Outlet:
    """One thing that is written to, in order.

    Attributes:
        failure: Why something could not be written; None if the reader has
            gone, since nobody is left to miss it.
        lost: How many bytes are lost by that.
    """

    def __init__(self, fd: int) -> None:
        self.failure: OSError | None = None
        self.lost = 0
        self._fd = fd
        self._lock = _thread.RLock()  # a signal may come while it is held, and write as well
        self._queue: list[bytes] = []
        self._waiting = 0  # bytes in the queue and in the thread's hand
        self._is_draining = False
        self._on_room: list[Callable[[], None]] = []
        self._is_gone = False
        self._missing = 0  # bytes that were lost since the last that were written
        self._ends_a_line = True
        self._drained = _thread.allocate_lock()
        self._may_stall, self._own_fd = _examine(fd)
        self._flags = getattr(os, "RWF_NOWAIT", 0) if self._own_fd < 0 else 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the reader."""
        return not self._waiting

    @property
    def is_full(self) -> bool:
        """Whether whoever has more should wait for `call_when_room`."""
        return self._waiting > _HIGH

    @property
    def has_backlog(self) -> bool:
        """Whether even small things should wait."""
        return self._waiting > _BACKLOG

    def write(self, data: bytes) -> None:
        """Write the data, or keep it for as long as the reader does not take it."""
        with self._lock:
            if self._is_gone:
                return
            if not self._waiting:
                data = self._write_now(data)
            if data:
                self._queue.append(data)
                self._waiting += len(data)
                self._start_draining()

    def check(self, lost_before: int) -> None:
        """Raise the reason if more is lost than there was before, or the reader has gone.

        Raises:
            OSError: The reason.
        """
        if self.failure is not None and self.lost > lost_before:
            raise self.failure
        if self._is_gone:
            raise BrokenPipeError(_GONE[0], os.strerror(_GONE[0]))

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call back once when there is room, in any thread."""
        with self._lock:
            if self._waiting > _LOW:
                self._on_room.append(callback)
                return
        callback()

    def forget_callbacks(self) -> None:
        """Call nobody from now on."""
        with self._lock:
            self._on_room.clear()

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until the reader has taken everything, or the waiting is over."""
        while self._is_draining and not is_over():
            if self._drained.acquire(timeout=_LOOK_SECONDS):
                self._drained.release()

    def close(self) -> None:
        """Write nothing more; the descriptor itself stays open."""
        with self._lock:
            self._give_up()
            if self._own_fd >= 0:
                os.close(self._own_fd)
                self._own_fd = -1

    def _write_now(self, data: bytes) -> bytes:
        """Write what can be written without waiting; return the rest."""
        if self._missing:
            notice = self._notice()
            done, error = self._push(notice)
            if error is not None:
                self._fail(error, len(data))
                return b""
            self._missing = 0
            if done < len(notice):
                return notice[done:] + data
        done, error = self._push(data)
        if error is not None:
            self._fail(error, len(data) - done)
            return b""
        return data[done:] if done else data

    def _push(self, data: bytes) -> tuple[int, OSError | None]:
        """Write what can be written without waiting; return how much that was, or a failure."""
        view = memoryview(data)
        done = 0
        failure = None
        try:
            while done < len(data) and (count := self._write_some(view[done:])):
                done += count
        except OSError as error:
            failure = error
        if done:
            self._ends_a_line = data[done - 1] == _LINE_FEED
        return done, failure

    def _write_some(self, data: memoryview) -> int:
        """Write some of it; 0 if that would have to wait."""
        if not self._may_stall:
            return _write_patiently(self._fd, data)
        try:
            if self._own_fd >= 0:
                return os.write(self._own_fd, data)
            if self._flags:
                return os.pwritev(self._fd, [data], -1, self._flags)
        except BlockingIOError:
            pass
        except OSError:
            if self._own_fd >= 0:
                raise
            self._flags = 0  # an old kernel does not know this; the thread sees any other error
        return 0

    def _start_draining(self) -> None:
        if self._is_draining:
            return
        self._is_draining = True
        self._drained.acquire()
        try:
            _thread.start_new_thread(self._drain, ())
        except RuntimeError:
            self._drain()  # no thread is to be had: then the run waits after all

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._is_draining = False
                    self._drained.release()
                    return
                data = b"".join(self._queue)
                self._queue.clear()
            view = memoryview(data)
            try:
                while view:
                    count = _write_patiently(self._fd, view[:_PIECE])
                    view = view[count:]
                    self._note_written(count)
                with self._lock:
                    self._ends_a_line = data[-1] == _LINE_FEED
            except OSError as error:
                with self._lock:
                    self._fail(error, len(view))
                    self._waiting = sum(map(len, self._queue))

    def _note_written(self, count: int) -> None:
        with self._lock:
            self._waiting = max(0, self._waiting - count)
            if self._waiting <= _LOW:
                self._tell_of_room()

    def _tell_of_room(self) -> None:
        while self._on_room:
            self._on_room.pop()()

    def _fail(self, error: OSError, lost: int) -> None:
        if error.errno in _GONE or (error.errno == _EIO and self._may_stall):
            self._give_up()
            return
        self.failure = self.failure or error
        self.lost += lost
        self._missing += lost

    def _give_up(self) -> None:
        self._is_gone = True
        self._queue.clear()
        self._waiting = 0
        self._tell_of_room()

    def _notice(self) -> bytes:
        """What stands where something is missing."""
        reason = os.strerror(self.failure.errno or 0) if self.failure is not None else "?"
        begin = "" if self._ends_a_line else "\n"
        return f"{begin}[{self._missing} bytes of output were lost here: {reason}]\n".encode()


class Outlets:
    """The outlets of a process: one for each thing, however many descriptors lead to it."""

    def __init__(self) -> None:
        self._by_fd: dict[int, Outlet] = {}
        self._by_thing: dict[tuple[int, int], Outlet] = {}
        self._over_at: float | None = None

    def at(self, fd: int) -> Outlet:
        """Return the outlet of a descriptor."""
        outlet = self._by_fd.get(fd)
        if outlet is None:
            outlet = self._by_fd[fd] = self._make(fd)
        return outlet

    def wait_at_most(self, seconds: float) -> None:
        """Bound the wait for readers from now on; a later call does not prolong it."""
        over_at = monotonic() + seconds
        if self._over_at is None or over_at < self._over_at:
            self._over_at = over_at

    def is_over(self) -> bool:
        """Whether nobody is waited for any more."""
        return self._over_at is not None and monotonic() >= self._over_at

    def wait(self) -> None:
        """Wait until the readers have taken everything, within what was allowed."""
        for outlet in self._by_fd.values():
            outlet.wait(self.is_over)

    def close(self) -> None:
        """Give back what was opened."""
        while self._by_fd:
            self._by_fd.popitem()[1].close()
        self._by_thing.clear()

    def forget_callbacks(self) -> None:
        """Call nobody of those who wait for room."""
        for outlet in self._by_fd.values():
            outlet.forget_callbacks()

    def _make(self, fd: int) -> Outlet:
        try:
            found = os.fstat(fd)
        except OSError:
            return Outlet(fd)
        if stat.S_ISREG(found.st_mode):
            return Outlet(fd)  # each has its own place in the file
        # Two outlets for one reader would mix up the order once it is slow.
        thing = found.st_dev, found.st_ino
        outlet = self._by_thing.get(thing)
        if outlet is None:
            outlet = self._by_thing[thing] = Outlet(fd)
        return outlet


def _examine(fd: int) -> tuple[bool, int]:
    """Say whether a reader may be slow to take what is written, and a descriptor of our own.

    Opened again, the same thing has a mode of its own, and need not wait; -1
    if that is not allowed.
    """
    try:
        found = os.fstat(fd)
        if not stat.S_ISFIFO(found.st_mode):
            if not stat.S_ISCHR(found.st_mode) or not os.isatty(fd):
                return stat.S_ISSOCK(found.st_mode), -1
            if found.st_rdev == os.makedev(*_PTMX):
                return True, -1
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return True, os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:
        return True, -1


def _write_patiently(fd: int, data: memoryview) -> int:
    """Write some of it, waiting if the descriptor does not."""
    while True:
        try:
            return os.write(fd, data)
        except BlockingIOError:  # somebody else made the descriptor non-blocking
            import select

            select.select([], [fd], [])
