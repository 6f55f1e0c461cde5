"""The log file `.factotum/factotum.log` under the current directory.

It is its owner's alone, and even so holds no values of variables, no text of the factfile
but names as they are written there, and no secrets of addresses: whoever adds a line keeps
to that. Not the logging package: its import costs more than all that is written here.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns

from factotum.core.errors import FactotumError
from factotum.core.run import durations
from factotum.runner.console import LAST_WAIT_SECONDS, encode
from factotum.runner.outlet import Outlet

_FOLDER = ".factotum"
_NAME = "factotum.log"


class LogFileError(FactotumError):
    """The log file cannot be set up."""


class LogFile:
    """Appends lines with time and level; a full disk does not disturb the job."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # The log may be a link to a pipe or a terminal.
        self._outlet = Outlet(fd)

    @classmethod
    def open(cls) -> LogFile:
        """Create what is needed and open the file.

        Raises:
            LogFileError: It cannot be written here.
        """
        try:
            os.mkdir(_FOLDER)  # noqa: PTH102 - pathlib costs start-up
            _allow_owner(_FOLDER)
        except FileExistsError:
            _make_target()  # a file of that name shows in the next step
        except OSError as error:
            raise LogFileError(
                f"unable to create directory '{_here()}/{_FOLDER}/' for logfile."
                f" Reason: {_reason(error)}"
            ) from None
        try:
            return cls(_open(f"{_FOLDER}/{_NAME}"))
        except OSError as error:
            raise LogFileError(
                f"couldn't create logfile appender to '{_here()}/{_FOLDER}/{_NAME}'."
                f" Reason: {_reason(error)}"
            ) from None

    def add(self, message: str) -> None:
        """Append a line at level INFO."""
        self._append("INFO", message)

    def add_warning(self, message: str) -> None:
        """Append a line at level WARN; used by the webhook's thread as well."""
        self._append("WARN", message)

    def close(self) -> None:
        """Close the file."""
        over_at = monotonic() + LAST_WAIT_SECONDS
        self._outlet.wait(lambda: monotonic() >= over_at)
        self._outlet.close()
        os.close(self._fd)

    def _append(self, level: str, message: str) -> None:
        moment = durations.to_log_timestamp(time_ns())
        # One write per line: lines of several threads do not mix. The log is a convenience:
        # where its reader is slow lines are left out.
        if not self._outlet.is_full:
            self._outlet.write(encode(f"{moment} {level} factotum - {message}\n"))


def _open(path: str) -> int:
    """Open the log; one that stands there already keeps its mode, which somebody chose."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _open_found(path, flags)
    try:  # noqa: SIM105 - contextlib costs start-up
        os.fchmod(fd, 0o600)  # whatever the umask is
    except OSError:
        pass  # a file system without modes
    return fd


def _open_found(path: str, flags: int) -> int:
    try:
        os.readlink(path)  # noqa: PTH115 - as above
    except OSError:
        return os.open(path, flags)
    from factotum.cli.output import writing

    try:
        fd = writing.duplicate(path.encode())
    except writing.CreateError as problem:
        raise problem.error from None
    # What a link leads to may still have to be made.
    return os.open(path, flags | os.O_CREAT, 0o600) if fd is None else fd


def _allow_owner(folder: str) -> None:
    """Give the owner what an odd umask took: the log could not be opened in there."""
    mode = os.stat(folder).st_mode & 0o777  # noqa: PTH116 - as above
    if mode & 0o700 != 0o700:
        os.chmod(folder, mode | 0o700)  # noqa: PTH101 - as above


def _make_target() -> None:
    """Where the folder is a link to one that is not there yet: make that."""
    if not os.path.exists(_FOLDER):  # noqa: PTH110 - as above
        try:  # noqa: SIM105 - contextlib costs start-up
            os.mkdir(os.path.realpath(_FOLDER))  # noqa: PTH102 - as above
        except OSError:
            pass  # shows in the next step


def _here() -> str:
    try:
        return os.getcwdb().decode("utf-8", "surrogateescape")  # noqa: PTH109 - as above
    except OSError:
        return "."


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
