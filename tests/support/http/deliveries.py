"""Stand-ins for events, whose body is their number, and what tests ask of their delivery."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from factotum.events.retries import RetryPolicy
from factotum.events.updates import Update
from support.http.receivers import Receiver

NO_STACK = 1 << 47
"""More than a process can map, so that no thread can be started."""

QUICK = RetryPolicy(pauses=(0.01,))


def event(number: int) -> Update:
    return Update("", b"", "", str(number), ())


def body_of(update: Update) -> bytes:
    return update.run_duration.encode()


def bodies(receiver: Receiver) -> list[bytes]:
    return [request.body for request in receiver.requests]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def no_threads() -> Iterator[None]:
    """Have the system refuse every new thread of this process."""
    usual = threading.stack_size(NO_STACK)
    try:
        yield
    finally:
        threading.stack_size(usual)
