"""Catches the signals that ask for a shutdown, and those that tell of deaths of children."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # the C part of signal: the module itself imports enum

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from factotum.runner.loop import Loop

SIGTERM, SIGINT = 15, 2
SIGTSTP = int(_signal.SIGTSTP)
SIGKILL, SIGCONT, SIGCHLD = int(_signal.SIGKILL), int(_signal.SIGCONT), int(_signal.SIGCHLD)


class ShutdownSignals:
    """SIGTERM and SIGINT from `install` to `restore`, whoever is in charge meanwhile."""

    def __init__(self) -> None:
        self.count = 0
        """How many have come so far."""
        self._callback: Callable[[], None] | None = None
        self._before: list[tuple[int, Any]] = []

    def install(self) -> None:
        """Begin to catch the signals; only the main thread may.

        Raises:
            OSError: The system refuses.
        """
        for number in (SIGTERM, SIGINT):
            self._before.append((number, _signal.signal(number, self._on_signal)))

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        while self._before:
            number, handler = self._before.pop()
            _signal.signal(number, handler)

    def connect(self, callback: Callable[[], None] | None, *, replay: bool = True) -> None:
        """Call this for each signal from now on, and with `replay` at once if one came before.

        None: only count.
        """
        self._callback = callback
        if callback is not None and replay and self.count:
            callback()

    def _on_signal(self, number: int, frame: object) -> None:  # noqa: ARG002 - the caller's form
        self.count += 1
        if self._callback is not None:
            self._callback()


class WakeUps:
    """Makes signals end the loop's sleep, also one that comes just before it falls asleep.

    Deaths of children are among them. To catch them is to undo an inherited "ignore", too:
    with that the kernel would throw the exit codes away.
    """

    def __init__(self, wake_fd: int, on_death: Callable[[], None]) -> None:
        self.sees_deaths = False
        """Whether `on_death` will be called; only the main thread sees signals."""
        self._child_before: Any = None
        self._wake_before = -1
        try:
            self._wake_before = _signal.set_wakeup_fd(wake_fd, warn_on_full_buffer=False)
        except ValueError:
            return
        self._child_before = _signal.signal(SIGCHLD, lambda _number, _frame: on_death())
        self.sees_deaths = True

    def restore(self) -> None:
        """Put back what was there before."""
        if self.sees_deaths:
            _signal.set_wakeup_fd(self._wake_before)
            # None: set by something that is not Python, and not to be put back from here.
            _signal.signal(
                SIGCHLD, _signal.SIG_DFL if self._child_before is None else self._child_before
            )


class Pauses:
    """Tells of Ctrl-Z before the process is stopped by it, and of its going on.

    Args:
        loop: Whose thread this is; in it both are called.
        on_pause: What to do before the process is stopped.
        on_return: What to do when it goes on, after any kind of stop.
    """

    def __init__(
        self, loop: Loop, on_pause: Callable[[], None], on_return: Callable[[], None]
    ) -> None:
        self._on_pause = on_pause
        self._before: list[tuple[int, Any]] = []
        # Between two calls of the loop nothing is half done.
        self._catch(SIGTSTP, lambda _number, _frame: loop.call_soon(self._pause))
        self._catch(SIGCONT, lambda _number, _frame: loop.call_soon(on_return))

    def restore(self) -> None:
        """Put back what was there before."""
        while self._before:
            number, effect = self._before.pop()
            _signal.signal(number, effect)

    def _catch(self, number: int, handler: Any) -> None:
        try:
            before = _signal.getsignal(number)
            if before != _signal.SIG_IGN:  # stays so, as whatever our parent ignores
                _signal.signal(number, handler)
                self._before.append((number, before))
        except ValueError:
            pass  # beside the main thread, which alone sees signals

    def _pause(self) -> None:
        self._on_pause()
        handler = _signal.signal(SIGTSTP, _signal.SIG_DFL)
        # To this thread, which then is stopped in this very call.
        _signal.pthread_kill(_thread.get_ident(), SIGTSTP)
        _signal.signal(SIGTSTP, handler)
