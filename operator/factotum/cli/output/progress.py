"""`--progress`: a live block under the output, one line per running task, counts and time.

Drawn only if standard output is a terminal that can do it, and while this process is in its
foreground. The block is taken away before anything else is written, and put back afterwards;
so it is before Ctrl-Z leaves the terminal to others.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns

from factotum.cli.output.columns import cut
from factotum.core.run import durations
from factotum.core.words.states import TaskState
from factotum.runner import signals
from factotum.runner.console import Console, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from factotum.core.run.execution import Execution, TaskRun, TaskTransition
    from factotum.runner.loop import Loop

_REDRAW_SECONDS = 1.0
_MOST_TASKS = 12
_LEAST_NAME = 8  # columns; with less a task's time is left out
_ERASE_BELOW = "\x1b[J"

# Whatever the terminal thinks of a character's width, a line never takes two rows: the terminal
# does not wrap while the block is drawn.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class _LiveConsole(Console):
    """A console that makes room for the block whenever it writes."""

    def __init__(self, original: Console) -> None:
        super().__init__(colour=original.colour, out_fd=original.out_fd, err_fd=original.err_fd)
        self.outlets = original.outlets
        self._make: Callable[[int, int], list[str]] | None = None
        self._made_for = (0, 0)
        self._block: list[str] = []
        self._shown = 0  # lines
        self._is_writing = False

    def flush(self) -> None:
        """Write what was gathered, and the block below it."""
        super().flush()
        if self._shown or self._is_writing or self._open_lines or self._make is None:
            return
        if not self.outlets.at(self.out_fd).is_idle:
            return  # nobody would see it, and it would pile up
        if not _is_in_foreground(self.out_fd):
            return  # somebody else writes and types there
        size = _terminal_size(self.out_fd)
        if size != self._made_for:
            self._made_for = size
            self._block = self._make(*size)
        if self._block:
            self._shown = len(self._block)
            block = "\n".join(self._block)
            self._draw(f"{_NO_WRAP}{block}\n{_WRAP}")

    def show(self, make: Callable[[int, int], list[str]] | None) -> None:
        """Show another block, made for a terminal of so many columns and rows; None: none."""
        super().flush()
        self._erase()
        self._make = make
        self._made_for = (0, 0)
        self.flush()

    def forget(self) -> None:
        """Leave a block that is shown where it is: others may have written below it."""
        self._shown = 0

    def _put(self, fd: int, data: bytes) -> None:
        self._erase()
        self._is_writing = True  # more may follow before the block is wanted again
        super()._put(fd, data)
        self._is_writing = False

    def _erase(self) -> None:
        if self._shown:
            self._draw(f"\x1b[{self._shown}A\r{_ERASE_BELOW}")
            self._shown = 0

    def _draw(self, text: str) -> None:
        self.outlets.at(self.out_fd).write(encode(text))


class ProgressView:
    """Follows a run and keeps the block up to date; an `ExecutionListener`."""

    def __init__(self, console: _LiveConsole) -> None:
        self.console = console
        self._loop: Loop | None = None
        self._execution: Execution | None = None
        self._pauses: signals.Pauses | None = None
        self._began = monotonic()

    @classmethod
    def attach(cls, console: Console) -> ProgressView | None:
        """Return a view on a console, None if that is no terminal which can show one."""
        if not os.isatty(console.out_fd) or os.environ.get("TERM") == "dumb":
            return None
        return cls(_LiveConsole(console))

    def follow(self, loop: Loop, execution: Execution) -> None:
        """Redraw once a second while the run lasts."""
        self._loop = loop
        self._execution = execution
        self._pauses = signals.Pauses(loop, self._leave, self._come_back)
        self._tick()

    def run_created(self, execution: Execution) -> None:
        """Nothing to show yet."""

    def run_started(self, execution: Execution) -> None:
        """The first tasks are told of right after this."""

    def tasks_started(self, execution: Execution, runs: Sequence[TaskRun]) -> None:  # noqa: ARG002
        """Show the tasks that were started."""
        self._draw(execution)

    def task_finished(
        self,
        execution: Execution,
        run: TaskRun,  # noqa: ARG002 - the protocol's
        transitions: Sequence[TaskTransition],  # noqa: ARG002 - the protocol's
    ) -> None:
        """Take a task away and count it."""
        self._draw(execution)

    def heartbeat(self, execution: Execution, running: Sequence[TaskRun]) -> None:
        """The clock redraws anyway."""

    def run_finished(self, execution: Execution) -> None:  # noqa: ARG002 - the protocol's
        """Take the block away for good."""
        self._execution = None
        self.console.show(None)
        if self._pauses is not None:
            self._pauses.restore()

    def _tick(self) -> None:
        if self._execution is None or self._loop is None:
            return
        self._draw(self._execution)
        self._loop.call_at(monotonic() + _REDRAW_SECONDS, self._tick)

    def _leave(self) -> None:
        """Take the block away before the process is stopped."""
        self.console.show(None)

    def _come_back(self) -> None:
        """Draw it anew, below whatever stands there now."""
        self.console.forget()
        if self._execution is not None:
            self._draw(self._execution)

    def _draw(self, execution: Execution) -> None:
        self.console.show(lambda columns, rows: self._lines(execution, columns, rows))

    def _lines(self, execution: Execution, columns: int, rows: int) -> list[str]:
        room = min(_MOST_TASKS + 2, rows - 1)  # the cursor's own row is below the block
        if room < 1:
            return []
        running = execution.running
        lines = [self._task_line(run, columns - 1) for run in running[: _shown(running, room - 1)]]
        if len(lines) < len(running) and len(lines) + 1 < room:
            lines.append(cut(f"  and {len(running) - len(lines)} more", columns - 1))
        return [*lines, self._counts_line(execution, columns - 1)]

    def _task_line(self, run: TaskRun, columns: int) -> str:
        now = time_ns()
        since = durations.to_console(max(0, now - (run.started_at_ns or now)))
        room = columns - len(since) - 4
        if room < _LEAST_NAME:
            return cut(f"  {run.name}", columns)
        return f"  {self.console.cyan(cut(run.name, room))}  {since}"

    def _counts_line(self, execution: Execution, columns: int) -> str:
        counts = execution.counts
        ended = sum(counts[state] for state in TaskState.ENDED) + counts[TaskState.SKIPPED]
        parts = [
            f"{ended}/{len(execution.task_runs)} done",
            f"{counts[TaskState.RUNNING]} running",
            f"{counts[TaskState.WAITING]} waiting",
            durations.to_console(int((monotonic() - self._began) * 1e9)),
        ]
        painted = parts[:]
        for state, word, paint in (
            (TaskState.SKIPPED, "skipped", self.console.yellow),
            (TaskState.FAILED, "failed", self.console.red),
        ):
            if counts[state]:
                parts.insert(3, f"{counts[state]} {word}")
                painted.insert(3, paint(parts[3]))
        plain = ", ".join(parts)
        return ", ".join(painted) if len(plain) <= columns else cut(plain, columns)


def _shown(running: Sequence[TaskRun], room: int) -> int:
    """Return how many tasks get a line of their own; the rest may need one as well."""
    return room if len(running) <= room else room - 1 if room > 1 else room


def _is_in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True  # it is not the terminal of this session: nobody's shell


def _terminal_size(fd: int) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
