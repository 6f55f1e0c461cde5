"""`factotum run --dry-run`: the same order and the same lines, but nothing is started."""

from __future__ import annotations

from time import time_ns

from factotum.cli.output.columns import width
from factotum.core.run import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.cli.logfile import LogFile
    from factotum.core.run.execution import Execution, TaskRun
    from factotum.runner.console import Console


def simulate(execution: Execution, console: Console, log: LogFile) -> None:
    """Go through the run as if every task succeeded at once."""
    while batch := execution.take():
        for run in batch:
            execution.start(run, time_ns())
            console.err(summary.started_line(run))
        for run in batch:
            text = _quote_command(run)
            # Without its command, which may hold values of variables.
            log.add(f"Simulating execution for '{run.task.written_name}'")
            # A code that lets the job go on, whatever the factfile says of 0.
            execution.finish(run, _good_code(run), 0)
            console.out(render_table(run.name, text))
            console.err(summary.finished_line(run))
    execution.end()


def _good_code(run: TaskRun) -> int:
    return 0 if 0 in run.task.continue_codes else run.task.continue_codes[0]


def _quote_command(run: TaskRun) -> str:
    return " ".join(_quote(part) for part in ("sh", "-c", run.task.command_line))


def _quote(text: str) -> str:
    named = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    parts = []
    for character in text:
        if character in named:
            parts.append(named[character])
        elif character < " " or "\x7f" <= character < "\xa0":
            parts.append(f"\\u{{{ord(character):x}}}")
        else:
            parts.append(character)
    return f'"{"".join(parts)}"'


def render_table(name: str, command: str) -> str:
    """Return the box with a task and its command."""
    first = max(width(name) + 2, 6)
    second = max(width(command) + 2, 9)
    return "\n".join(
        [
            f"/{'-' * first}|{'-' * second}\\",
            f"| {_pad('TASK', first - 2)} | {_pad('COMMAND', second - 2)} |",
            f"|{'-' * first}|{'-' * second}|",
            f"| {_pad(name, first - 2)} | {_pad(command, second - 2)} |",
            f"\\{'-' * first}|{'-' * second}/\n",
        ]
    )


def _pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))
