"""The operator's log: one line for each thing that is said, and which job it is about.

Users' words are in it: names, messages of admission, what a resolver was asked
for. A line end among them must not look like a line of ours.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

_LONGEST: Final = 8192
"""Characters of a message; an answer of some server can be of any length."""
_INSET: Final = "  | "


class Named(Protocol):
    """As much of a job as a line in the log says of it."""

    @property
    def namespace(self) -> str:
        """Return its namespace."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def uid(self) -> str:
        """Return its UID."""

    @property
    def attempt(self) -> int:
        """Return which try it is at."""


class JobLogger:
    """Says things about one job: its name and attempt stand before each, and as fields in JSON."""

    __slots__ = ("_fields", "_head", "_logger")

    def __init__(self, logger: logging.Logger, head: str, fields: Mapping[str, object]) -> None:
        self._logger = logger
        self._head = head
        self._fields = fields

    def info(self, text: str, *args: object) -> None:
        """Say what happened."""
        self._say(logging.INFO, text, args)

    def warning(self, text: str, *args: object) -> None:
        """Say what somebody might have to look at."""
        self._say(logging.WARNING, text, args)

    def exception(self, text: str, *args: object) -> None:
        """Say what went wrong here, with the exception that is being handled."""
        self._say(logging.ERROR, text, args, exc_info=True)

    def _say(self, level: int, text: str, args: tuple[object, ...], **more: Any) -> None:
        # The name is an argument: a per cent sign in it means nothing.
        self._logger.log(level, "%s" + text, self._head, *args, extra=self._fields, **more)  # noqa: G003


def of(logger: logging.Logger, job: Named, attempt: int | None = None) -> JobLogger:
    """Return what says things about a job.

    Args:
        logger: the module's.
        job: the newest version that is known.
        attempt: that is spoken of; None: the job's present one.
    """
    number = job.attempt if attempt is None else attempt
    fields = {"namespace": job.namespace, "job": job.name, "attempt": number, "uid": job.uid}
    return JobLogger(logger, f"job {job.namespace}/{job.name}: attempt {number}: ", fields)


def of_unknown(logger: logging.Logger, uid: str) -> JobLogger:
    """Return what says things about a job of which nothing but the UID is known."""
    return JobLogger(logger, f"job of UID {uid}, which is gone: ", {"uid": uid})


class OneLine(logging.Filter):
    """Makes every message one line; what cannot be printed is shown as in Python."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; none is left out."""
        text = record.getMessage()
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]} ... and {len(text) - _LONGEST} characters more"
            record.msg, record.args = text, ()
        if not text.isprintable():
            record.msg, record.args = printable(text), ()
        return True


class Plain(logging.Formatter):
    """Text for people. What belongs to a traceback is set in, whatever its lines say."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback no line of which looks like one of the log's own."""
        return _inset(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return a stack in the same way."""
        return _inset(super().formatStack(stack_info))


def _inset(text: str) -> str:
    return "\n".join(f"{_INSET}{printable(line)}" for line in text.split("\n"))


def printable(text: str) -> str:
    """Return a text as one line without control characters."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
