"""Where things lie: a folder for each attempt, with its runner's lock, verdict, token and output.

Paths are made of numbers of ours alone, so nothing that a user says leads anywhere.
"""

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from factotum.core.wire import termination

LOCK: Final = "lock"
VERDICT: Final = "verdict"
TOKEN: Final = "token"  # noqa: S105 - a file's name
_PID_DIGITS: Final = 10
_WHOLE: Final = "run"
_SHARD: Final = 1000
"""Jobs in a folder of folders: few enough for any file system."""


class Folders:
    """The attempts' folders below a data folder.

    Args:
        root: the data folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / "attempts"

    def attempt(self, key: int, number: int) -> Path:
        """Return an attempt's folder."""
        return self._root / str(key // _SHARD) / f"{key}-{number}"

    def highest(self) -> int:
        """Return the highest key that has a folder: what lies there is not another job's."""
        shard = max(_numbers(self._root), default=0)
        return max(_numbers(self._root / str(shard)), default=shard * _SHARD)

    def prepare(self, key: int, number: int, token: str) -> Path:
        """Make an attempt's folder ready for a launch.

        Raises:
            OSError: the disk is full, for example.
        """
        folder = self.attempt(key, number)
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        # Made here, where a full disk has the job wait: a runner that cannot has failed.
        os.close(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path = folder / TOKEN
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(token)
        return folder

    def is_alive(self, key: int, number: int) -> bool:
        """Whether the runner of an attempt lives: the kernel lets go of its lock when it ends."""
        try:
            descriptor = os.open(self.attempt(key, number) / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def tell_to_stop(self, key: int, number: int) -> None:
        """Send SIGTERM to the runner of an attempt, if it is certain to be that runner.

        Who could not be told hears it with the answer to its next report.
        """
        try:
            process = os.pidfd_open(self._runner(key, number))
        except (OSError, ValueError, OverflowError):
            return
        try:
            # Whose id it is holds the lock for life: held by now, it was his when we took hold.
            if self.is_alive(key, number):
                signal.pidfd_send_signal(process, signal.SIGTERM)
                signal.pidfd_send_signal(process, signal.SIGCONT)  # who was stopped hears it, too
        except ProcessLookupError:
            pass
        finally:
            os.close(process)

    def _runner(self, key: int, number: int) -> int:
        """Return the process id that a runner has left."""
        return int(self._begin_of(key, number, LOCK, _PID_DIGITS))

    def verdict(self, key: int, number: int) -> termination.Verdict | None:
        """Return what the runner of an attempt wrote last; None: nothing that can be read."""
        try:
            payload = self._begin_of(key, number, VERDICT, termination.MAX_BYTES * 2)
        except OSError:
            return None
        return termination.decode(payload.decode("utf-8", "replace"))

    def _begin_of(self, key: int, number: int, name: str, most: int) -> bytes:
        """Return how a file begins; tasks can write there, too, and make it whatever they like."""
        path = self.attempt(key, number) / name
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, most)
        finally:
            os.close(descriptor)

    def tidy(self, key: int, number: int) -> None:
        """Remove what a told attempt does not need any more; its output stays."""
        folder = self.attempt(key, number)
        for name in (TOKEN, VERDICT):
            with contextlib.suppress(OSError):
                os.unlink(folder / name)  # noqa: PTH108 - three times as fast, for each job

    def remove(self, key: int, attempts: int) -> None:
        """Remove all attempts of a job."""
        for number in range(1, attempts + 1):
            shutil.rmtree(self.attempt(key, number), ignore_errors=True)

    def pieces(self, key: int, number: int, task: int | None) -> Iterator[tuple[int, Path]]:
        """Yield an output's files by the place of their first byte, in order."""
        name = _WHOLE if task is None else str(task)
        found = []
        with contextlib.suppress(OSError):
            for path in self.attempt(key, number).glob(f"{name}@*.log"):
                offset = path.stem.partition("@")[2]
                if offset.isdecimal():
                    found.append((int(offset), path))
        yield from sorted(found)


def _numbers(folder: Path) -> Iterator[int]:
    """Yield the numbers that the names in a folder begin with."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - names are all that is wanted
            number = name.partition("-")[0]
            if number.isascii() and number.isdecimal() and len(number) < _PID_DIGITS:
                yield int(number)
