"""What a run says on the console about its tasks and at its end, as text."""

from __future__ import annotations

from factotum.core.run import durations
from factotum.core.words import sentences
from factotum.core.words.states import TaskState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from factotum.core.run.execution import Execution, TaskRun

STOPPED = "Shutdown requested, skipping remaining task groups\n"


def started_line(run: TaskRun) -> str:
    """Return the line that tells of a task's start."""
    moment = durations.to_console_timestamp(run.started_at_ns or 0)
    return f"Task '{run.name}' was started at {moment}\n"


def finished_line(run: TaskRun) -> str:
    """Return the line that tells of a task's end; nothing for one that ended the job early."""
    took = durations.to_seconds(run.duration_ns or 0)
    if run.state == TaskState.SUCCEEDED:
        return f"Task '{run.name}': succeeded after {took}\n"
    if run.state == TaskState.FAILED:
        return f"Task '{run.name}': failed after {took}. Reason: {run.failure_reason}\n"
    return ""


def summary(execution: Execution, green: Callable[[str], str], cyan: Callable[[str], str]) -> str:
    """Return the text at the end of a run, with colour put on by the two functions.

    The duration is the sum over all tasks, not wall time (Q16).
    """
    runs = execution.task_runs
    total_ns = sum(run.duration_ns or 0 for run in runs if not run.kept)
    counts = f"{execution.executed_count}/{len(runs)} tasks run"
    text = green(f"{counts} in {durations.to_console(total_ns)}\n")

    def names(some: Iterable[TaskRun]) -> str:
        return ", ".join(f"'{cyan(run.name)}'" for run in some)

    not_run = names(run for run in runs if run.return_code is None)
    failed = execution.in_state(TaskState.FAILED)
    if failed:
        return text + sentences.failed(names(failed), not_run) + "\n"
    early = execution.in_state(TaskState.SUCCEEDED_NO_OP)
    if early:
        return text + sentences.finished_early(names(early), not_run) + "\n"
    return text
