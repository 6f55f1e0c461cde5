"""The log file `.factotum/factotum.log` under the current directory.

Not the logging package: its import costs more than all that is written here.
"""

from __future__ import annotations

import os
from time import time_ns

from factotum.core.errors import FactotumError
from factotum.core.run import durations
from factotum.runner.console import encode

_FOLDER = ".factotum"
_NAME = "factotum.log"


class LogFileError(FactotumError):
    """The log file cannot be set up."""


class LogFile:
    """Appends lines with time and level; a full disk does not disturb the job."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls) -> LogFile:
        """Create what is needed and open the file.

        Raises:
            LogFileError: It cannot be written here.
        """
        try:
            os.mkdir(_FOLDER)  # noqa: PTH102 - pathlib costs start-up
        except FileExistsError:
            pass  # a file of that name shows in the next step
        except OSError as error:
            raise LogFileError(
                f"unable to create directory '{_here()}/{_FOLDER}/' for logfile."
                f" Reason: {_reason(error)}"
            ) from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            return cls(os.open(f"{_FOLDER}/{_NAME}", flags, 0o666))
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
        os.close(self._fd)
        self._fd = -1

    def _append(self, level: str, message: str) -> None:
        moment = durations.to_log_timestamp(time_ns())
        try:  # noqa: SIM105 - contextlib costs start-up
            # One write per line: lines of several threads do not mix.
            os.write(self._fd, encode(f"{moment} {level} factotum - {message}\n"))
        except OSError:
            pass  # the log is a convenience; the job goes on without it


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as above
    except OSError:
        return "."


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
