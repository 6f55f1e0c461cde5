"""Ask for a name's addresses, and wait no longer than one wants to.

The system's resolver has time limits of its own, tens of seconds where servers are silent, and
cannot be told to give up; so it is asked in a thread.
"""

from __future__ import annotations

import _thread
import time

from factotum.events.connecting import LONGEST_WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from factotum.events.connecting import Address


class Lookup:
    """One question, asked at once; whoever wants the answer waits for it, once or several times.

    Args:
        ask: gives the addresses, or raises why there are none.
    """

    def __init__(self, ask: Callable[[], list[Address]]) -> None:
        self._ask = ask
        self._found: list[Address] = []
        self._failure: Exception | None = None
        self._open = _thread.allocate_lock()
        self._open.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no thread is to be had
            self._run()

    @property
    def has_ended(self) -> bool:
        """Whether there is an answer, or a reason why not."""
        return not self._open.locked()

    def wait(self, deadline: float) -> list[Address]:
        """Return the addresses.

        Raises:
            TimeoutError: There is no answer by the deadline, a moment of the monotonic clock.
            Exception: The resolver's own.
        """
        left = min(max(deadline - time.monotonic(), 0.0), LONGEST_WAIT)
        if not self._open.acquire(timeout=left):
            raise TimeoutError
        self._open.release()
        if self._failure is not None:
            raise self._failure
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
            self._failure = error
        finally:
            self._open.release()
