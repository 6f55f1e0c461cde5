"""The server's log on standard output, in the original's form."""

import logging
import os
import sys
import time
from typing import Final

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
        return f"{stamp}.{rest:09}{offset[:3]}:{offset[3:]} {word:>5} - {text}"


def start(level: str) -> None:
    """Begin to write the log.

    Args:
        level: a key of ``LEVELS``.
    """
    handler = logging.StreamHandler(sys.stdout)
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
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody listens: the server goes on, and so does its log, into nothing.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
