"""Goes through the original's start-up steps in its order and picks the command.

The order decides which error wins. Whatever ends a command early is told and
turned into an exit code here, by one table.
"""

from __future__ import annotations

import os
import sys

from factotum.cli import logfile
from factotum.cli.problems import CommandError, exit_code_of
from factotum.core import COMPATIBLE_VERSION, errors
from factotum.core.commandline import arguments, usage
from factotum.core.words.states import ExitCode
from factotum.runner.console import LAST_WAIT_SECONDS, Console, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from factotum.core.commandline.arguments import Arguments
    from factotum.runner.signals import ShutdownSignals

_STOPPED = ExitCode.TASK_FAILED  # what a run ends with that left tasks unrun because of a signal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    console = Console(colour=False)
    try:
        exit_code = _main(list(sys.argv[1:] if argv is None else argv), console)
    finally:
        is_complete = console.finish()
    if is_complete or not console.carries_result:
        return exit_code
    return exit_code or ExitCode.OTHER


def _main(argv: list[str], console: Console) -> int:
    try:
        log = logfile.LogFile.open()
    except logfile.LogFileError as error:
        console.out(f"Log initialization error: {error}\n")
        return ExitCode.OTHER
    signals = None
    try:
        # The other commands just end; there the signals' own effect is the right one.
        if usage.RUN in argv:
            signals = _catch_signals(console)
            if signals is None:
                return ExitCode.OTHER
        return _parse_and_dispatch(argv, console, log, signals)
    finally:
        if signals is not None:
            _wait_for_readers(console, signals)
            signals.restore()
        log.close()


def _wait_for_readers(console: Console, signals: ShutdownSignals) -> None:
    """Finish the output; a signal, be it an earlier one, bounds the wait."""
    signals.connect(lambda: console.outlets.wait_at_most(LAST_WAIT_SECONDS))
    console.finish()


def _catch_signals(console: Console) -> ShutdownSignals | None:
    from factotum.runner.signals import ShutdownSignals

    signals = ShutdownSignals()
    try:
        signals.install()
    except OSError as error:
        console.out(f"Failed to install signal handlers: {error}\n")
        return None
    except ValueError:
        pass  # called by a program of its own, beside its main thread
    return signals


def _end_by_signals(signals: ShutdownSignals) -> None:
    """Let a signal end the program until a run listens itself.

    What comes first may take any time: a factfile can be a pipe that nobody writes to. The
    exception ends the system call that waits, too.
    """

    def break_off() -> None:
        signals.connect(None)
        raise CommandError("\nReceived shutdown signal, terminating gracefully...", _STOPPED)

    signals.connect(break_off)


def _parse_and_dispatch(
    argv: list[str],
    console: Console,
    log: logfile.LogFile,
    signals: ShutdownSignals | None,
) -> int:
    try:
        if signals is not None:
            _end_by_signals(signals)
        given = arguments.parse(argv)
        console.colour = wants_colour(
            os.environ, no_colour=given.has("--no-colour"), is_terminal=_is_terminal(console.out_fd)
        )
        return _dispatch(given, console, log, signals)
    except arguments.UsageError as error:
        console.out(str(error))
        return ExitCode.OTHER
    except errors.EnvironmentFormatError as error:
        log.add_warning(f"--env: {error.problem}")
        console.out(str(error))  # without a line feed, as ever
        return exit_code_of(error)
    except CommandError as error:
        console.out(f"{error}\n")
        return error.exit_code


def _dispatch(
    given: Arguments, console: Console, log: logfile.LogFile, signals: ShutdownSignals | None
) -> int:
    if given.has("--help"):
        console.out(usage.help_text())
        return ExitCode.SUCCESS
    if given.has("--version"):
        console.out(f"Factotum version {COMPATIBLE_VERSION}\n")
        return ExitCode.SUCCESS
    if given.command == usage.RUN:
        from factotum.cli.commands.run import run

        return run(given, console, log, signals)
    if given.command == usage.VALIDATE:
        from factotum.cli.commands.validate import validate

        return validate(given, console, log)
    if given.command == usage.DOT:
        from factotum.cli.commands.dot import dot

        return dot(given, console, log)
    from factotum.cli.commands import completion

    console.out(completion.script(given.operand))
    return ExitCode.SUCCESS


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
