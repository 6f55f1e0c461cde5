"""A small event loop: file descriptors, timers and calls from other threads.

Own code, because importing asyncio costs more than running a short job. It
never polls: it sleeps until a descriptor, a timer or another thread wakes it.
"""

from __future__ import annotations

import os
import select
from _heapq import heappop, heappush  # the C part of heapq, without its imports
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[], None]


_LONGEST_SLEEP = 86_400.0


class Timer:
    """One call in the future."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Make sure that it is not called."""
        self.callback = None


class Loop:
    """Waits for what happens next and calls who wants to know."""

    def __init__(self) -> None:
        self._poller = _make_poller()
        self._readers: dict[int, Callback] = {}
        self._timers: list[Timer] = []
        self._calls: list[Callback] = []
        # Signals and other threads wake the loop through this pipe.
        self._wake_read, self.wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self.wake_write, False)
        self.add_reader(self._wake_read, self._drain_wake_ups)

    def close(self) -> None:
        """Give the loop's own descriptors back."""
        self._poller.close()
        os.close(self._wake_read)
        os.close(self.wake_write)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever the descriptor can be read without waiting."""
        self._poller.register(fd, _READABLE)
        self._readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        """Forget a descriptor; it must still be open."""
        self._poller.unregister(fd)
        del self._readers[fd]

    def pause_reader(self, fd: int) -> None:
        """Leave what can be read there, until its other end has been closed."""
        self._poller.modify(fd, 0)

    def resume_reader(self, fd: int) -> None:
        """Read on."""
        self._poller.modify(fd, _READABLE)

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call back at a moment of the monotonic clock."""
        timer = Timer(when, callback)
        heappush(self._timers, timer)
        return timer

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """Call back in the loop's thread; may be used anywhere, in signal handlers too."""
        self._calls.append(callback)
        self._wake()

    def call_soon(self, callback: Callback) -> None:
        """Call back in the loop's thread, from a signal handler whose signal wakes the loop."""
        self._calls.append(callback)

    def run_once(self) -> None:
        """Sleep until something happens, then make all calls that are due."""
        timeout = -1.0
        if self._calls:
            timeout = 0
        elif self._timers:
            # Shorter than it may have to be: the system knows no longer ones, we just look again.
            timeout = min(max(0.0, self._timers[0].when - monotonic()), _LONGEST_SLEEP)
        self._read(timeout)
        self._call_back()
        if self._timers:
            self._call_timers()

    def serve_what_is_there(self) -> None:
        """Serve descriptors and calls that are ready now, but no timers; do not sleep."""
        self._read(0)
        self._call_back()

    def _read(self, timeout: float) -> None:
        for fd, _ in self._poller.poll(timeout):
            callback = self._readers.get(fd)
            if callback is not None:  # an earlier callback may have removed it
                callback()

    def _call_back(self) -> None:
        calls = self._calls
        while calls:
            calls.pop(0)()

    def _call_timers(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0].when <= now:
            callback = heappop(self._timers).callback
            if callback is not None:
                callback()

    def _wake(self) -> None:
        try:  # noqa: SIM105 - contextlib costs start-up
            os.write(self.wake_write, b"\0")
        except BlockingIOError:
            pass  # full of wake-ups already

    def _drain_wake_ups(self) -> None:
        try:  # noqa: SIM105 - as above
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass


class _PollPoller:
    """select.poll with the interface of select.epoll, for systems without the latter."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.unregister = self._poll.unregister
        self.modify = self._poll.modify

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return self._poll.poll(None if timeout < 0 else int(timeout * 1000) + 1)

    def close(self) -> None:
        """Nothing to give back."""


_READABLE = getattr(select, "EPOLLIN", 1)  # the same bit as POLLIN


def _make_poller() -> select.epoll | _PollPoller:
    if hasattr(select, "epoll"):
        return select.epoll()
    return _PollPoller()
