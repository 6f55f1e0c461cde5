"""The run of a factfile as a pure state machine.

It says which tasks may start, judges return codes, skips descendants and
tells each change as a value. It starts nothing and reads no clock: whoever
drives it (the runner, a dry run, a test) reports what happened.
"""

from __future__ import annotations

from factotum.core.words.states import RunState, TaskState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol

    from factotum.core.factfile.document import Factfile, Task
    from factotum.core.run.output import OutputTail
    from factotum.core.run.results import KeptResult
else:
    Protocol = object

INTERRUPTED = "the task was interrupted by a shutdown"


class ExecutionListener(Protocol):
    """Who wants to know how a run goes on; called in the run's own thread, in order.

    An implementation must return at once: tasks wait for it.
    """

    def run_created(self, execution: Execution) -> None:
        """Everything is WAITING; nothing has been started."""

    def run_started(self, execution: Execution) -> None:
        """The first tasks, if there are any, have just been started."""

    def tasks_started(self, execution: Execution, runs: Sequence[TaskRun]) -> None:
        """These tasks have just been started."""

    def task_finished(
        self, execution: Execution, run: TaskRun, transitions: Sequence[TaskTransition]
    ) -> None:
        """A task has ended; the transitions are its own and those of tasks it skips."""

    def heartbeat(self, execution: Execution, running: Sequence[TaskRun]) -> None:
        """A regular sign of life, only given while tasks are running."""

    def run_finished(self, execution: Execution) -> None:
        """Nothing will change any more."""


class TaskRun:
    """One task in one run."""

    __slots__ = (
        "_reasons",
        "dag_index",
        "duration_ns",
        "error_text",
        "index",
        "interrupted",
        "kept",
        "level",
        "missing",
        "return_code",
        "started_at_ns",
        "state",
        "stderr",
        "stdout",
        "task",
    )

    def __init__(self, task: Task, dag_index: int, index: int, level: int) -> None:
        self.task = task
        self.dag_index = dag_index
        self.index = index
        """The position in level order, which is the order of `Execution.task_runs`."""
        self.level = level
        self.missing = 0
        """How many dependencies inside the run have not succeeded yet."""
        self.state = TaskState.WAITING
        self.started_at_ns: int | None = None
        self.duration_ns: int | None = None
        self.return_code: int | None = None
        self.error_text: str | None = None
        """Why it could not be run at all."""
        self.kept = False
        """Whether the result comes from an earlier run."""
        self.interrupted = False
        """Whether it was running when the run was told to stop."""
        self.stdout: OutputTail | None = None
        self.stderr: OutputTail | None = None
        self._reasons: list[str] = []

    def __repr__(self) -> str:
        return f"TaskRun({self.task.name!r}, {self.state})"

    @property
    def name(self) -> str:
        """The task's rendered name."""
        return self.task.name

    @property
    def error_message(self) -> str | None:
        """Why the task failed or was skipped, as events tell it."""
        if self.state == TaskState.SKIPPED:
            return ", ".join(self._reasons)
        if self.state == TaskState.FAILED:
            return self.error_text or self.failure_reason
        return None

    @property
    def failure_reason(self) -> str:
        """What the console says of a return code that is in neither list."""
        codes = self.task.continue_codes
        if self.interrupted and (
            self.return_code in codes or self.return_code in self.task.terminate_codes
        ):
            return INTERRUPTED
        expected = ",".join(map(str, codes))
        return (
            f"the task exited with a value not specified in continue_job - {self.return_code}"
            f" (task expects one of the following return codes to continue [{expected}])"
        )

    def output_text(self) -> str | None:
        """Return the end of what it wrote to standard output; None if that is nothing."""
        return self.stdout.text() if self.stdout is not None else None

    def stderr_text(self) -> str | None:
        """Return the end of what it wrote to standard error; None if that is nothing."""
        return self.stderr.text() if self.stderr is not None else None

    def skip(self, reason: str) -> None:
        """Note one more cause for not running."""
        self.state = TaskState.SKIPPED
        self._reasons.append(reason)


class TaskTransition:
    """A task went from one state to another."""

    __slots__ = ("current", "previous", "run")

    def __init__(self, run: TaskRun, previous: str, current: str) -> None:
        self.run = run
        self.previous = previous
        self.current = current

    def __repr__(self) -> str:
        return f"TaskTransition({self.run.name!r}, {self.previous} -> {self.current})"

    @property
    def task_name(self) -> str:
        """The name of the task."""
        return self.run.name


class Execution:
    """A run: its tasks in level order, their states, and what may happen next.

    Args:
        factfile: What to run.
        start: Begin at this task (``--start``).
        eager: Let a task start when its own dependencies have succeeded,
            instead of level by level.
        kept: Results of tasks that need not run again, by task name.
        fail_interrupted: Judge tasks that ran while the run was stopped as
            FAILED whatever they return (in a Pod), instead of by their code.
    """

    def __init__(
        self,
        factfile: Factfile,
        start: str | None = None,
        *,
        eager: bool = False,
        kept: Mapping[str, KeptResult] | None = None,
        fail_interrupted: bool = False,
    ) -> None:
        self.factfile = factfile
        self.start_task = start
        self.eager = eager
        self.state = RunState.WAITING
        self.stopped = False
        self.task_runs: list[TaskRun] = []
        self.levels: list[list[TaskRun]] = []
        self.counts = dict.fromkeys(TaskState.ALL, 0)
        self._fail_interrupted = fail_interrupted
        self._by_dag_index: dict[int, TaskRun] = {}
        self._running: dict[int, TaskRun] = {}
        self._level = 0
        self._cursor = 0  # in the level; in `_startable` for an eager run
        self._startable: list[TaskRun] = []
        self._build(start)
        self.counts[TaskState.WAITING] = len(self.task_runs)
        for name, result in (kept or {}).items():
            self._keep(name, result)
        self._count_missing()

    # What is known.

    @property
    def running(self) -> list[TaskRun]:
        """The tasks that are running, in level order."""
        return sorted(self._running.values(), key=lambda run: run.index)

    @property
    def running_count(self) -> int:
        """How many tasks are running."""
        return len(self._running)

    @property
    def executed_count(self) -> int:
        """How many tasks have run to an end in this run."""
        return sum(1 for run in self.task_runs if run.duration_ns is not None and not run.kept)

    @property
    def is_cut_short(self) -> bool:
        """Whether a stop kept something from being looked at."""
        if not self.stopped:
            return False
        if self.eager:
            return bool(self.counts[TaskState.WAITING] or self.counts[TaskState.SKIPPED])
        return self._level < len(self.levels) - 1 or bool(self.counts[TaskState.WAITING])

    @property
    def has_more(self) -> bool:
        """Whether a task might still be started, now or later."""
        return not self.stopped and bool(self.counts[TaskState.WAITING])

    def in_state(self, *states: str) -> list[TaskRun]:
        """Return the tasks in one of these states, in level order."""
        return [run for run in self.task_runs if run.state in states]

    def find(self, name: str) -> TaskRun | None:
        """Return the run of the task with this name."""
        index = self.factfile.dag.find(name)
        return None if index is None else self._by_dag_index.get(index)

    # What happens.

    def take(self, limit: int | None = None) -> list[TaskRun]:
        """Return the tasks to start now, at most `limit`; each is given out once."""
        if self.stopped or (limit is not None and limit <= 0):
            return []
        if self.eager:
            end = len(self._startable) if limit is None else self._cursor + limit
            taken = self._startable[self._cursor : end]
            self._cursor += len(taken)
            return taken
        return self._take_from_level(limit)

    def start(self, run: TaskRun, at_ns: int) -> TaskTransition:
        """Note that a task was started."""
        run.started_at_ns = at_ns
        self._change(run, TaskState.RUNNING)
        self._running[run.index] = run
        if self.state == RunState.WAITING:
            self.state = RunState.RUNNING
        return TaskTransition(run, TaskState.WAITING, TaskState.RUNNING)

    def begin(self) -> None:
        """Note that the run has begun, even if there is no task to start."""
        self.state = RunState.RUNNING

    def finish(
        self, run: TaskRun, return_code: int, duration_ns: int, error_text: str | None = None
    ) -> list[TaskTransition]:
        """Judge a task that has ended, and skip what cannot run because of it.

        Returns:
            The task's own transition, then one per descendant that is skipped
            because of it, in level order.
        """
        del self._running[run.index]
        run.return_code = return_code
        run.duration_ns = duration_ns
        run.error_text = error_text
        self._change(run, self._judge(run))
        transitions = [TaskTransition(run, TaskState.RUNNING, run.state)]
        if run.state == TaskState.SUCCEEDED:
            if self.eager:
                self._release_children(run)
            return transitions
        return transitions + self._skip_below(run)

    def stop(self) -> None:
        """Let nothing more start; tasks that are running count as interrupted."""
        if not self.stopped:
            self.stopped = True
            for run in self._running.values():
                run.interrupted = True

    def end(self) -> None:
        """Settle the state of the whole run, once nothing can happen any more."""
        waiting = self.counts[TaskState.WAITING] or self.counts[TaskState.RUNNING]
        failed = bool(self.counts[TaskState.FAILED] or waiting)
        self.state = RunState.FAILED if failed else RunState.SUCCEEDED

    # How it is done.

    def _build(self, start: str | None) -> None:
        for level, indices in enumerate(self.factfile.dag.levels(start)):
            runs = []
            for index in indices:
                run = TaskRun(self.factfile.tasks[index], index, len(self.task_runs), level)
                self._by_dag_index[index] = run
                self.task_runs.append(run)
                runs.append(run)
            self.levels.append(runs)

    def _keep(self, name: str, result: KeptResult) -> None:
        run = self.find(name)
        if run is None:
            return  # outside of the run, because of `start`
        run.kept = True
        run.return_code = result.return_code
        run.started_at_ns = result.started_at_ns
        run.duration_ns = result.duration_ns
        self._change(run, result.state)
        if result.state == TaskState.SUCCEEDED_NO_OP:
            self._skip_below(run)

    def _count_missing(self) -> None:
        first = None if self.start_task is None else self.find(self.start_task)
        for run in self.task_runs:
            if run is not first:  # the start task's own dependencies do not count
                run.missing = sum(
                    1
                    for parent in self.factfile.dag.parents[run.dag_index]
                    if self._by_dag_index[parent].state != TaskState.SUCCEEDED
                )
            if not run.missing and run.state == TaskState.WAITING:
                self._startable.append(run)

    def _take_from_level(self, limit: int | None) -> list[TaskRun]:
        while True:
            level = self.levels[self._level]
            taken: list[TaskRun] = []
            while self._cursor < len(level) and (limit is None or len(taken) < limit):
                run = level[self._cursor]
                self._cursor += 1
                if run.state == TaskState.WAITING:
                    taken.append(run)
            if taken or self._running or self._level == len(self.levels) - 1:
                return taken
            self._level += 1
            self._cursor = 0

    def _judge(self, run: TaskRun) -> str:
        if run.interrupted and self._fail_interrupted:
            return TaskState.FAILED
        if run.return_code in run.task.terminate_codes:
            return TaskState.SUCCEEDED_NO_OP
        if run.return_code in run.task.continue_codes:
            return TaskState.SUCCEEDED
        return TaskState.FAILED

    def _skip_below(self, run: TaskRun) -> list[TaskTransition]:
        """Skip what cannot run because of how a task ended."""
        if run.state == TaskState.FAILED:
            reason = f"the task '{run.name}' failed"
        else:
            reason = f"the task '{run.name}' requested early termination"
        transitions = []
        for descendant in self._descendants(run):
            previous = descendant.state
            if previous in (TaskState.WAITING, TaskState.SKIPPED):
                self._change(descendant, TaskState.SKIPPED)
                descendant.skip(reason)
                transitions.append(TaskTransition(descendant, previous, TaskState.SKIPPED))
        return transitions

    def _release_children(self, run: TaskRun) -> None:
        freed = []
        for index in self.factfile.dag.children[run.dag_index]:
            child = self._by_dag_index[index]
            child.missing -= 1
            if not child.missing and child.state == TaskState.WAITING:
                freed.append(child)
        self._startable.extend(_in_level_order(freed))

    def _descendants(self, run: TaskRun) -> list[TaskRun]:
        indices = self.factfile.dag.descendants(run.dag_index)
        return _in_level_order(self._by_dag_index[index] for index in indices)

    def _change(self, run: TaskRun, state: str) -> None:
        self.counts[run.state] -= 1
        self.counts[state] += 1
        run.state = state


def _in_level_order(runs: Iterable[TaskRun]) -> list[TaskRun]:
    return sorted(runs, key=lambda run: run.index)
