"""Reads a factfile from disk and words what is wrong with it."""

from __future__ import annotations

import os

from factotum.core import errors
from factotum.core.factfile.document import Factfile
from factotum.core.words import sentences
from factotum.runner.console import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class FactfileProblem(errors.FactotumError):
    """The factfile cannot be used; the text names it and says why."""

    def __init__(self, message: str, cause: Exception) -> None:
        super().__init__(message)
        self.cause = cause
        self.for_log = message
        """The problem without what may hold values of variables or text of the factfile."""


def load(path: str, variables: Mapping[str, str] | None) -> tuple[Factfile, str]:
    """Return the factfile at `path`, and its text.

    Raises:
        FactfileProblem: It cannot be opened, read or used.
    """
    text = _read(path)
    try:
        return Factfile.parse(text, variables), text
    except errors.FactfileError as error:
        problem = FactfileProblem(sentences.invalid_factfile(path, error), error)
        if not isinstance(error, (errors.FactfileSyntaxError, errors.SchemaError)):
            problem.for_log = sentences.invalid_factfile(path, type(error).__name__)
        raise problem from None


def describe(error: OSError) -> str:
    """Return a system error in the original's words."""
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def _read(path: str) -> str:
    try:
        fd = os.open(encode(path), os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = (
            describe(error) if isinstance(error, OSError) else "nul byte found in provided data"
        )
        raise FactfileProblem(f"Couldn't open '{path}' for reading: {reason}", error) from None
    try:
        parts = []
        while part := os.read(fd, 1 << 20):
            parts.append(part)
        return b"".join(parts).decode()
    except OSError as error:
        raise FactfileProblem(f"Couldn't read '{path}': {describe(error)}", error) from None
    except UnicodeDecodeError as error:
        raise FactfileProblem(
            f"Couldn't read '{path}': stream did not contain valid UTF-8", error
        ) from None
    finally:
        os.close(fd)
