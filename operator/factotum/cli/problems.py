"""What ends a command early, with the text and the exit code that its caller gets."""

from __future__ import annotations

from factotum.core.states import ExitCode


class CommandError(Exception):
    """Ends a command; the text is worded for standard output, without its line feed."""

    def __init__(self, text: str, exit_code: int = ExitCode.OTHER) -> None:
        super().__init__(text)
        self.exit_code = exit_code
