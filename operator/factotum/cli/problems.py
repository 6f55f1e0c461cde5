"""What ends a command early, and the one table from errors to exit codes."""

from __future__ import annotations

from factotum.core import errors
from factotum.core.words.states import ExitCode

EXIT_CODES: tuple[tuple[type[errors.FactotumError], int], ...] = (
    (errors.FactfileError, ExitCode.BAD_FACTFILE),
    (errors.EnvironmentFormatError, ExitCode.OTHER),
    (errors.StartError, ExitCode.OTHER),
    (errors.VerdictError, ExitCode.OTHER),
)
"""The first row that fits counts; `dot` alone turns every failure into OTHER."""


class CommandError(errors.FactotumError):
    """Ends a command; the text is worded for standard output, without its line feed."""

    def __init__(self, text: str, exit_code: int = ExitCode.OTHER) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def exit_code_of(error: Exception) -> int:
    """Return what the process tells its caller of an error; a bug has no row."""
    for kind, code in EXIT_CODES:
        if isinstance(error, kind):
            return code
    raise error
