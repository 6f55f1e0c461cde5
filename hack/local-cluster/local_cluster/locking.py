"""Locks between runs of the tool: two builds or two `up` of one name must take turns.

flock, so that a lock ends with its process however that ends.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def _open_current(path: Path, announce: str) -> IO[bytes]:
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(announce, file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        # The holder before us may have removed the file; then ours guards nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


@contextlib.contextmanager
def locked(path: Path, announce: str) -> Iterator[None]:
    """Hold the lock file at path, printing `announce` first if that means waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _open_current(path, announce)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
