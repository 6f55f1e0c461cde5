"""The server's log on standard output, in the original's form.

Nobody waits for who reads it: what he does not take is kept for a while, then left out. What
others have a say in stands in it as text: it is no entry of its own, and steers no terminal.
"""

import logging
import re
import time
from typing import Final

from factotum.runner.outlet import Outlet

LEVELS: Final = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG - 5,
}
_WORDS: Final = {
    logging.CRITICAL: "ERROR",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}
_ROOT: Final = "factotum"
_LAST_SECONDS: Final = 1.0
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ENTRY: Final = re.compile(r"\n(?=\d{4}-\d\d-\d\dT)")
"""Where a line within an entry looks like the next one."""


class _Formatter(logging.Formatter):
    """``{date and time, nanoseconds, offset} {LEVEL} - {message}``, in the local time zone."""

    def format(self, record: logging.LogRecord) -> str:
        nanoseconds = int(record.created * 1_000_000) * 1000
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        moment = time.localtime(seconds)
        offset = time.strftime("%z", moment)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
        word = _WORDS.get(record.levelno, "TRACE")
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
        text = _ENTRY.sub("\n ", text)
        return f"{stamp}.{rest:09}{offset[:3]}:{offset[3:]} {word:>5} - {text}"


class _Output(logging.Handler):
    """Standard output, which may be a pipe that nobody empties, a full disk, or closed."""

    def __init__(self) -> None:
        super().__init__()
        self._outlet = Outlet(1)
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - as every handler
            self.handleError(record)
        else:
            self.write(text)

    def write(self, text: str) -> None:
        if self._outlet.has_backlog:
            self._left_out += 1
            return
        if self._left_out:
            text = f"({self._left_out} entries are left out here: nobody read them)\n{text}"
            self._left_out = 0
        self._outlet.write(f"{text}\n".encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Wait a moment for who reads."""
        until = time.monotonic() + _LAST_SECONDS
        self._outlet.wait(lambda: time.monotonic() > until)


def start(level: str) -> None:
    """Begin to write the log.

    Args:
        level: a key of ``LEVELS``.
    """
    handler = _Output()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger(_ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(LEVELS[level])
    logger.propagate = False
    # What fails unexpectedly inside the HTTP library; everything else it says we say ourselves.
    for name in ("uvicorn.error", "asyncio"):
        other = logging.getLogger(name)
        other.handlers[:] = [handler]
        other.propagate = False
        other.setLevel(max(LEVELS[level], logging.ERROR))
    logging.getLogger("uvicorn.access").disabled = True


def say(text: str) -> None:
    """Write a line that is no entry of the log to standard output."""
    for handler in logging.getLogger(_ROOT).handlers:
        if isinstance(handler, _Output):
            handler.write(text)
            return
    output = _Output()
    output.write(text)
    output.flush()


def end() -> None:
    """Let who reads the log have its last lines, if he takes them soon."""
    for handler in logging.getLogger(_ROOT).handlers:
        handler.flush()
