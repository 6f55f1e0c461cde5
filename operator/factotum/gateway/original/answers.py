"""Answers in the original's form."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from factotum.jobs.errors import (
    ArgumentsError,
    BackendAwayError,
    BackendError,
    DrainingError,
    DryRunError,
    DuplicateJobError,
    EmptyFieldError,
    FactfileMissingError,
    JobsError,
    NoRoomError,
    QueueFullError,
)

logger = logging.getLogger(__name__)

JSON: Final = (b"content-type", b"application/json; charset=utf-8")
_FIELDS: Final = {"name": "jobName", "factfile_path": "factfilePath"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer.

    Attributes:
        status: HTTP's.
        body: None: empty, without a content type.
        headers: further ones.
        log: what the log says at ERROR, beside the message at WARN.
    """

    status: int = 200
    body: Any = None
    headers: Sequence[tuple[bytes, bytes]] = field(default=())
    log: str = ""


def message(
    text: str,
    status: int = 200,
    *,
    log: str = "",
    reason: str = "",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer:
    """Return an answer that is a message.

    Args:
        reason: what the original does not tell; it goes into a header, where no script looks.
    """
    if reason:
        words = " ".join(reason.split())[:1000]
        plain = "".join(c if c.isprintable() else "?" for c in words)  # no header has others
        shown = plain.encode("ascii", "backslashreplace")
        headers = [*headers, (b"x-factotum-reason", shown)]
        logger.info("The runner's reason: %s", shown.decode())
    return Answer(status=status, body={"message": text}, headers=headers, log=log)


def refusal(error: JobsError) -> Answer:
    """Return the answer to a submission that is not accepted, or to a question without answer."""
    reason = ""
    match error:
        case DrainingError():
            return message("Server in [drain] state - cannot submit job", 400)
        case DuplicateJobError():
            return message("Job is already being processed", 400)
        case QueueFullError():
            return message("Queue is full, cannot add job", 400)
        case EmptyFieldError():
            name = _FIELDS.get(error.field, error.field)
            text = f"No valid value found: field '{name}' cannot be empty"
        case FactfileMissingError():
            text = f"Value does not exist on host for 'factfilePath':'{error.path}'"
        case DryRunError():
            text = f"Failed to execute command: [{error.command}] - {error.stderr}"
            reason = error.reason
        case ArgumentsError():
            text = f"Error parsing tags in factfile args: {error.problem}"
        case BackendError():
            return _failure(error)
        case _:
            text = str(error)
    return message(f"Validation Error: {text}", 400, log=text, reason=reason)


def _failure(error: BackendError) -> Answer:
    """Return the answer to what could not be done, though nothing is wrong with it."""
    status = 500
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, BackendAwayError):
        status = 503
        headers.append((b"retry-after", str(error.retry_seconds).encode()))
    elif isinstance(error, NoRoomError):
        status = 400  # as whatever is not accepted there, a full queue, too: scripts know no other
    return message(f"Error: {error}", status, log=str(error), headers=headers)


def encode(document: Any, *, pretty: bool) -> bytes:
    """Write a document as the original does."""
    if pretty:
        text = json.dumps(document, indent=2, ensure_ascii=False)
    else:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def parameters(query: bytes) -> Mapping[str, str]:
    """Return the parameters of a query; of a repeated one the last counts."""
    text = query.decode("latin-1").partition("#")[0]
    return dict(
        # As many as the head of a request has room for.
        parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")
    )
