"""`--progress`: a live block under the output, one line per running task, counts and time.

Drawn only if standard output is a terminal. The block is taken away before
anything else is written, and put back afterwards.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns

from factotum.core.run import durations
from factotum.core.words.states import TaskState
from factotum.runner.console import Console, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from factotum.core.run.execution import Execution, TaskRun, TaskTransition
    from factotum.runner.loop import Loop

_REDRAW_SECONDS = 1.0
_MOST_LINES = 12
_ERASE_BELOW = "\x1b[J"


class _LiveConsole(Console):
    """A console that makes room for the block whenever it writes."""

    def __init__(self, original: Console) -> None:
        super().__init__(colour=original.colour, out_fd=original.out_fd, err_fd=original.err_fd)
        self.outlets = original.outlets
        self._block: list[str] = []
        self._shown = 0  # lines
        self._is_writing = False

    def flush(self) -> None:
        """Write what was gathered, and the block below it."""
        super().flush()
        if self._block and not self._shown and not self._is_writing and not self._open_lines:
            self._shown = len(self._block)
            self._draw("\n".join(self._block) + "\n")

    def show(self, block: list[str]) -> None:
        """Show another block in the place of the one there is."""
        super().flush()
        self._erase()
        self._block = block
        self.flush()

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
        self._began = monotonic()

    @classmethod
    def attach(cls, console: Console) -> ProgressView | None:
        """Return a view on a console, None if that is not a terminal."""
        if not os.isatty(console.out_fd):
            return None
        return cls(_LiveConsole(console))

    def follow(self, loop: Loop, execution: Execution) -> None:
        """Redraw once a second while the run lasts."""
        self._loop = loop
        self._execution = execution
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
        self.console.show([])

    def _tick(self) -> None:
        if self._execution is None or self._loop is None:
            return
        self._draw(self._execution)
        self._loop.call_at(monotonic() + _REDRAW_SECONDS, self._tick)

    def _draw(self, execution: Execution) -> None:
        self.console.show(self._lines(execution))

    def _lines(self, execution: Execution) -> list[str]:
        width = _terminal_width(self.console.out_fd)
        now = time_ns()
        running = execution.running
        lines = [
            f"  {self.console.cyan(_cut(run.name, width - 14))}"
            f"  {durations.to_console(max(0, now - (run.started_at_ns or now)))}"
            for run in running[:_MOST_LINES]
        ]
        if len(running) > _MOST_LINES:
            lines.append(f"  and {len(running) - _MOST_LINES} more")
        counts = execution.counts
        ended = sum(counts[state] for state in TaskState.ENDED) + counts[TaskState.SKIPPED]
        elapsed = durations.to_console(int((monotonic() - self._began) * 1e9))
        parts = [
            f"{ended}/{len(execution.task_runs)} done",
            f"{counts[TaskState.RUNNING]} running",
            f"{counts[TaskState.WAITING]} waiting",
        ]
        if counts[TaskState.FAILED]:
            parts.append(self.console.red(f"{counts[TaskState.FAILED]} failed"))
        if counts[TaskState.SKIPPED]:
            parts.append(self.console.yellow(f"{counts[TaskState.SKIPPED]} skipped"))
        lines.append(f"{', '.join(parts)}, {elapsed}")
        return lines


def _terminal_width(fd: int) -> int:
    try:
        return os.get_terminal_size(fd).columns or 80
    except OSError:
        return 80


def _cut(text: str, width: int) -> str:
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= width else text[: max(width - 1, 1)] + "…"
