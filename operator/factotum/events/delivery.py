"""Deliver events strictly in order, one at a time, without ever holding up the run.

One daemon thread takes events from a queue without limit, has each one assembled
into its bytes, and posts them. The run only appends; at its end it waits, but no
longer than the policy allows and never after `abort`. Nothing here knows what an
event says.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque

from factotum.events.answers import Answer
from factotum.events.descriptors import SpareDescriptors
from factotum.events.patience import LONGEST_NAP, Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from factotum.events.retries import RetryPolicy
    from factotum.events.updates import Update
else:
    Protocol = object

DELIVERED = 200
"""The one status that counts; all other good ones do not (as in the original)."""

_SHORTAGE_SECONDS = 0.5
"""The pause when this machine has no descriptor left; such a try does not count."""

_TIDY_SECONDS = 0.2
"""How long an aborted delivery may take to close its connection before nobody cares."""


class Client(Protocol):
    """What makes a request; `posting.Poster` is the real one."""

    def post(self, body: bytes, connected: Callable[[], None]) -> Answer:
        """Send the body and return what came of it; say when no descriptor will be needed."""

    def abort(self) -> None:
        """Let the request under way fail at once; called by another thread."""


class Delivery:
    """A queue of events and the one thread that sends them.

    Args:
        make_client: called in the sender's thread before the first request.
        assemble: makes the body of an event, in the sender's thread and in order; it may
            keep state from one event to the next.
        policy: how often and how long to try.
        warn: told of each failed try, with the event and the answer; called in the sender's
            thread, or in the run's if the sender has none.
        wake: called in the sender's thread when it ends.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        assemble: Callable[[Update], bytes],
        *,
        policy: RetryPolicy,
        warn: Callable[[Update, Answer], None],
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.produced = 0
        self.delivered = 0
        self._make_client = make_client
        self._assemble = assemble
        self._policy = policy
        self._warn = warn
        self._wake = wake
        self._events: deque[Update] = deque()
        self._changed = threading.Condition()  # guards what follows, and counts with it
        self._spares = SpareDescriptors()
        self._client: Client | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._aborted = False
        self._ended = False
        self._patience = Patience(policy.patience)

    def put(self, event: Update) -> None:
        """Queue an event; returns at once."""
        with self._changed:
            self.produced += 1
            if self._aborted or self._ended:
                return
            self._events.append(event)
            self._changed.notify_all()
        self._start_sender()

    def close(self) -> None:
        """No event will follow: the sender ends after the last one, or when out of patience."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._patience.begin()
                self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Whether nothing more will be sent."""
        return self._aborted or self._ended or (self._closed and not self.produced)

    def drain(self, seconds: float | None = None) -> bool:
        """Wait until all is sent, patience has ended or `abort` was called.

        Args:
            seconds: wait no longer than this; the delivery goes on afterwards.

        Returns:
            Whether the delivery has finished.
        """
        until = None if seconds is None else time.monotonic() + seconds
        self._insist_on_sender()
        with self._changed:
            while not self.finished and not self._is_over():
                if until is not None and time.monotonic() >= until:
                    return False
                self._nap(until)
        if not self.finished:
            self.abort()  # the sender hangs in a request
        return True

    def abort(self) -> None:
        """Drop what is queued and break off the request under way; safe from anywhere."""
        with self._changed:
            self._aborted = True
            self._events.clear()
            client = self._client
            self._changed.notify_all()
        if client is not None:
            client.abort()
        if self._thread is not None:
            self._thread.join(_TIDY_SECONDS)

    # The sender's thread, if it can be had.

    def _start_sender(self) -> Exception | None:
        """Start the thread unless there is one; return what keeps it from starting."""
        if self._thread is not None:
            return None
        self._spares.hold()  # now, before tasks take them all
        try:
            # Daemon: a consumer that hangs must not keep a finished run alive.
            thread = threading.Thread(target=self._run, name="webhook", daemon=True)
            thread.start()
        except (RuntimeError, MemoryError) as error:  # a limit of processes, or of memory
            return error  # the next event asks again: a task may have ended by then
        self._thread = thread
        return None

    def _insist_on_sender(self) -> None:
        """Ask as often for a thread as an event is tried, then give up what is queued."""
        for attempt in range(1, self._policy.tries + 1):
            waiting = list(self._events)
            error = self._start_sender() if waiting else None
            if error is None:
                return
            if attempt == self._policy.tries:
                self._warn(waiting[0], Answer.of_failure(error))
            elif self._pause(self._policy.pause_after(attempt, _draw)):
                continue
            self._end()
            return

    def _run(self) -> None:
        try:
            while (event := self._next()) is not None:
                if self._deliver(event):
                    with self._changed:
                        self.delivered += 1
                        if self._closed:
                            self._patience.begin()
        except MemoryError:
            return  # what is left is told as undelivered
        finally:
            self._end()
            if self._wake is not None:
                self._wake()

    def _end(self) -> None:
        self._spares.release()
        with self._changed:
            self._ended = True
            self._events.clear()
            self._changed.notify_all()

    def _next(self) -> Update | None:
        with self._changed:
            while not self._events and not self._closed and not self._aborted:
                self._changed.wait()
            return None if self._is_over() or not self._events else self._events.popleft()

    def _deliver(self, event: Update) -> bool:
        body = self._assemble(event)
        failed = 0
        while failed < self._policy.tries:
            answer = self._try(body)
            if answer.status == DELIVERED:
                return True
            if self._aborted:
                return False
            pause = _SHORTAGE_SECONDS
            if not answer.is_shortage:
                failed += 1
                self._warn(event, answer)
                pause = self._policy.pause_after(failed, _draw)
            if not self._pause(pause):
                if answer.is_shortage:
                    self._warn(event, answer)  # it was not counted, but it was the cause
                return False
        return False

    def _try(self, body: bytes) -> Answer:
        self._spares.release()
        try:
            return self._get_client().post(body, self._spares.hold)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the sender
            return Answer.of_failure(error)
        finally:
            self._spares.hold()

    def _get_client(self) -> Client:
        if self._client is None:
            client = self._make_client()
            with self._changed:
                self._client = client
                if self._aborted:
                    client.abort()
        return self._client

    def _pause(self, seconds: float) -> bool:
        """Sleep, and return whether there is anything left to do."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._is_over() and time.monotonic() < until:
                self._nap(until)
            return not self._is_over()

    def _nap(self, until: float | None) -> None:
        """Wait for a change, but for no longer than until the next look is due."""
        left = self._patience.left()
        ends = [] if left is None else [left, LONGEST_NAP]
        if until is not None:
            ends.append(max(until - time.monotonic(), 0.0))
        self._changed.wait(min(ends, default=None))

    def _is_over(self) -> bool:
        return self._aborted or self._patience.left() == 0


def _draw() -> float:
    # Not the random module: a tenth of the start-up, and its files may not be to be opened.
    return int.from_bytes(os.urandom(7), "big") / 2**56
