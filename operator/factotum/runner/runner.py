"""Drives an execution: starts what may start, listens, and tells what happened.

One thread, one loop. The order in which listeners are called is the order of
the original's events.
"""

from __future__ import annotations

import os
from time import monotonic, monotonic_ns, time_ns

from factotum.core.run import summary
from factotum.core.run.output import OutputTail
from factotum.runner import signals
from factotum.runner.console import Console, encode
from factotum.runner.lines import LineStream
from factotum.runner.loop import Loop
from factotum.runner.processes import Process, ShellSpawner, SpawnError
from factotum.runner.shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import TypeVar

    from factotum.core.run.execution import Execution, ExecutionListener, TaskRun

    _Item = TypeVar("_Item")

_LOOK_SECONDS = 0.05


class Runner:
    """Runs one execution to its end.

    Args:
        execution: What to run; also says level by level or eagerly.
        output: Where the tasks' lines and our own go.
        environ: The tasks' environment.
        listeners: Who is told about each change, in this order.
        max_parallel: How many tasks may run at once; None is any number.
        tail_characters: How much of a task's output is kept for events; None
            keeps nothing.
        heartbeat_seconds: How often listeners get a sign of life.
        may_start: Asked before tasks are started; while it says no, nothing
            starts and the loop goes on.
        grace_seconds: How long tasks have between SIGTERM and SIGKILL.
        on_shutdown: Called once when a stop begins.
        log: Takes one line for the log file.
        own_groups: Whether each task gets a process group of its own.
        adopts: Whether this process is the one that orphans go to, and all its
            children are the run's.
        untold: Causes of a failure to start that the console does not repeat.
    """

    def __init__(  # noqa: PLR0913 - all but the execution have defaults
        self,
        execution: Execution,
        *,
        output: Console,
        environ: Mapping[str, str] | Mapping[bytes, bytes],
        listeners: Sequence[ExecutionListener] = (),
        max_parallel: int | None = None,
        tail_characters: int | None = None,
        heartbeat_seconds: int | None = None,
        may_start: Callable[[], bool] | None = None,
        grace_seconds: float = 5.0,
        on_shutdown: Callable[[], None] | None = None,
        log: Callable[[str], None] | None = None,
        own_groups: bool = True,
        adopts: bool = False,
        untold: Collection[str] = (),
    ) -> None:
        self.execution = execution
        self.loop = Loop()
        self._output = output
        self._listeners = tuple(listeners)
        self._max_parallel = max_parallel
        self._tail_characters = tail_characters
        self._heartbeat_seconds = heartbeat_seconds
        self._may_start = may_start
        self._log = log
        self._untold = untold
        self._spawner = ShellSpawner(environ, own_groups=own_groups)
        self._processes: dict[int, Process] = {}  # by the task's index
        self._shells: dict[int, Process] = {}  # by number, which may be given out again
        self._adopts = adopts
        self._is_death_noted = False
        self._ended: list[Process] = []
        self._failed: list[tuple[TaskRun, SpawnError]] = []
        self._deferred: list[TaskRun] = []
        self._next_heartbeat = 0.0
        self._is_held_back = False
        self._waits_for_room = False
        self._is_starting = False
        self._shutdown = Shutdown(
            self.loop,
            output,
            self._processes,
            own_groups=own_groups,
            adopts=adopts,
            grace_seconds=grace_seconds,
            on_begin=on_shutdown,
        )

    # From outside.

    def request_stop(self) -> None:
        """End the run as a shutdown signal does, but without its line; from any thread."""
        self.loop.call_soon_threadsafe(lambda: self._stop(by_signal=False))

    def on_signal(self) -> None:
        """React to a shutdown signal; may be called in a signal handler."""
        self.loop.call_soon_threadsafe(lambda: self._stop(by_signal=True))

    def run(self) -> Execution:
        """Run until nothing is left to do, and return the execution."""
        wake_ups = signals.WakeUps(self.loop.wake_write, self._note_death)
        if not wake_ups.sees_deaths:
            self._look_again()
        try:
            self._run()
        finally:
            if self._processes:  # only if a listener broke the run off
                self._shutdown.kill(self._processes.values())
            wake_ups.restore()
            self._output.outlets.forget_callbacks()
            self._shutdown.close()
            self.loop.close()
            self._output.flush()
        return self.execution

    # The run.

    def _run(self) -> None:
        execution = self.execution
        for listener in self._listeners:
            listener.run_created(execution)
        if self._heartbeat_seconds:
            self._next_heartbeat = monotonic()
            self._schedule_heartbeat()
        self._advance(first=True)
        while execution.running_count or (self._is_held_back and execution.has_more):
            self._output.flush()
            self.loop.run_once()
            self._settle()
            self._advance(first=False)
        if execution.is_cut_short:
            self._output.err(summary.STOPPED)
        self._output.flush()
        self._shutdown.finish()
        execution.end()
        for listener in self._listeners:
            listener.run_finished(execution)

    def _advance(self, *, first: bool) -> None:
        """Start whatever may start now, over and over while tasks cannot be started at all."""
        batch = self._take()
        while batch or first:
            batch = self._start_all(batch)
            if first:
                self.execution.begin()
                for listener in self._listeners:
                    listener.run_started(self.execution)
                first = False
            if batch:
                for listener in self._listeners:
                    listener.tasks_started(self.execution, batch)
            self._settle()
            batch = self._take()

    def _take(self) -> list[TaskRun]:
        self._is_held_back = False
        if not self.execution.has_more:
            return []
        if self._may_start is not None and not self._may_start():
            self._is_held_back = True
            return []
        backlog = self._output.find_backlog()
        if backlog is not None:
            self._is_held_back = True
            if not self._waits_for_room:
                self._waits_for_room = True
                backlog.call_when_room(lambda: self.loop.call_soon_threadsafe(self._note_room))
            return []
        limit = None
        if self._max_parallel is not None:
            limit = self._max_parallel - self.execution.running_count
        return self.execution.take(limit)

    def _note_room(self) -> None:
        self._waits_for_room = False

    def _start_all(self, runs: list[TaskRun]) -> list[TaskRun]:
        """Start these tasks, or as many as come before a stop, and return them."""
        self._is_starting = True
        for count, run in enumerate(runs):
            if self.execution.stopped:
                runs = runs[:count]
                break
            self.execution.start(run, time_ns())
            self._output.err(summary.started_line(run))
            if self._log is not None:
                # Without its command line, and by its name as it is written in the factfile:
                # values of variables may be secret.
                self._log(f"Starting task '{run.task.written_name}'")
            self._spawn(run)
            # Ends are noticed in time, but told only when the whole level has been started.
            self.loop.serve_what_is_there()
        self._is_starting = False
        return runs

    def _spawn(self, run: TaskRun) -> None:
        out, err = self._build_streams(run)
        process = Process(run, self.loop, monotonic_ns(), self._ended.append)
        try:
            process.start(self._spawner, out, err)
        except SpawnError as error:
            if error.may_pass and self._processes:
                self._deferred.append(run)  # tried again when another task has ended
            else:
                self._failed.append((run, error))
        else:
            self._processes[run.index] = self._shells[process.pid] = process

    def _build_streams(self, run: TaskRun) -> tuple[LineStream, LineStream]:
        output, keep = self._output, self._tail_characters
        if keep is not None and run.stdout is None:
            run.stdout, run.stderr = OutputTail(keep), OutputTail(keep)
        begin = encode(f"[{output.cyan(run.name)}] ")
        red, end = (b"\x1b[31m", b"\x1b[0m") if output.colour else (b"", b"")
        return (
            LineStream(output, output.out_fd, begin, b"", run.stdout),
            LineStream(output, output.err_fd, begin + red, end, run.stderr),
        )

    def _settle(self) -> None:
        """Take note of all ends that have been noticed."""
        while self._ended or self._failed:
            for process in _take_all(self._ended):
                del self._processes[process.run.index]
                if self._shells.get(process.pid) is process:
                    del self._shells[process.pid]
                self._finish(
                    process.run, process.return_code, process.duration_ns, process.error_text
                )
                if process.death_signal is not None and self._log is not None:
                    # Code 1 in continueJob accepts this as well (Q17).
                    number = process.death_signal
                    self._log(
                        f"Task '{process.run.task.written_name}' was ended by signal {number}"
                    )
            for run, error in _take_all(self._failed):
                self._finish(run, -1, 0, str(error))
            for run in _take_all(self._deferred):
                if self.execution.stopped:
                    self._finish(run, -1, 0, "Task cancelled due to shutdown")
                else:
                    self._spawn(run)

    def _finish(
        self, run: TaskRun, return_code: int, duration_ns: int, error_text: str | None
    ) -> None:
        transitions = self.execution.finish(run, return_code, duration_ns, error_text)
        self._output.err(summary.finished_line(run))
        self._tell_cause(run)
        if self._log is not None:
            name, took = run.task.written_name, f"after {duration_ns / 1e9:.3f}s"
            self._log(f"Task '{name}' ended {took} with return code {return_code}: {run.state}")
            for transition in transitions[1:]:
                self._log(f"Task '{transition.run.task.written_name}' is skipped")
        for listener in self._listeners:
            listener.task_finished(self.execution, run, transitions)

    def _tell_cause(self, run: TaskRun) -> None:
        """Say why a task could not be run at all, which its code -1 does not."""
        if run.error_text is not None and run.error_text not in self._untold:
            self._output.err(f"Task '{run.name}': {run.error_text}\n")
        if run.error_text is not None and self._log is not None:
            self._log(f"Task '{run.name}': {run.error_text}")

    def _schedule_heartbeat(self) -> None:
        interval = self._heartbeat_seconds or 0
        now = monotonic()
        # One that comes late, because the process was stopped, stands for all that were missed.
        is_late = now > self._next_heartbeat + interval / 2
        self._next_heartbeat = interval + (now if is_late else self._next_heartbeat)
        self.loop.call_at(self._next_heartbeat, self._beat)

    def _beat(self) -> None:
        # Ends noticed in the same round are told first: they are not running any more.
        self._settle()
        running = self.execution.running
        if running:
            for listener in self._listeners:
                listener.heartbeat(self.execution, running)
        self._schedule_heartbeat()

    def _stop(self, *, by_signal: bool) -> None:
        if not self.execution.stopped:
            if not self._is_starting:
                self._settle()  # what had ended before was not interrupted
            self.execution.stop()
            self._shutdown.begin(by_signal=by_signal)

    def _note_death(self) -> None:
        """Have the loop look which child has died; called in a signal handler."""
        if not self._is_death_noted:
            self._is_death_noted = True
            self.loop.call_soon(self._reap_children)

    def _look_again(self) -> None:
        """Look from time to time, where no signal tells."""
        self._reap_children()
        self.loop.call_at(monotonic() + _LOOK_SECONDS, self._look_again)

    def _reap_children(self) -> None:
        """Take note of all shells that have ended, and bury orphans that are ours."""
        self._is_death_noted = False
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            process = self._shells.pop(found.si_pid, None)
            if process is not None and process.status is None:
                process.look()
            elif self._adopts:
                os.waitpid(found.si_pid, os.WNOHANG)
            else:
                # Not ours to bury, and in the way of this way to ask.
                for each in list(self._processes.values()):
                    each.look()
                return


def _take_all(items: list[_Item]) -> list[_Item]:
    taken = items[:]
    items.clear()
    return taken
