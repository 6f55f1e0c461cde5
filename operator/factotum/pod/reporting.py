"""Telling the controller how the run goes, from a thread of its own.

The run never waits for it, but for two moments: a runner that got no answer
for long asks before it starts another task, for it may have been frozen and
given up; and the final report is given a little time at the end.
"""

from __future__ import annotations

import _thread  # threading imports functools and collections: more than the claim takes
import time

from factotum.core.wire import addresses
from factotum.core.wire.orders import Order
from factotum.pod.controller_link import UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from factotum.core.run.execution import Execution, TaskRun, TaskTransition
    from factotum.pod.controller_link import ControllerLink
    from factotum.pod.progress import Progress
    from factotum.pod.surroundings import Surroundings
    from factotum.pod.termination_log import TerminationLog

FIRST_SECONDS = 0.1
"""How long the first report waits: who has ended by then tells that, and nothing else."""
MIN_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 30.0
FINAL_SECONDS = 2.0
_TRY_SECONDS = 10.0
_HTTP_OK = 200
_HTTP_GONE = 410


class Reporter:
    """Sends reports, and passes on the orders in their answers.

    Implements ``ExecutionListener``.

    Args:
        stop: called, from the reporter's thread, when the run is to stop.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        link: ControllerLink,
        progress: Progress,
        log: TerminationLog,
        stop: Callable[[], None],
    ) -> None:
        self._path = addresses.report_path(surroundings.job_uid, surroundings.attempt)
        self._link = link
        self._progress = progress
        self._log = log
        self._stop = stop
        self._bell = _Bell()
        self._lock = _thread.allocate_lock()
        self._closing = False
        self._answered = _boot_seconds()
        self._asked = 0.0
        self._dismissed = False
        self._has_thread = False

    def start(self) -> None:
        """Begin to report."""
        self._log.write(self._progress.termination_message())
        self._start_thread()

    # --- ExecutionListener, called by the runner's loop -------------------------

    def run_created(self, execution: Execution) -> None:
        """Nothing: the claim has said so."""

    def run_started(self, execution: Execution) -> None:
        """Nothing: the first tasks say so."""

    def tasks_started(self, _: Execution, runs: Sequence[TaskRun]) -> None:
        """Report the tasks that run now."""
        for run in runs:
            self._progress.started(run.name, run.started_at_ns or 0)
        self._change()

    def task_finished(
        self, _: Execution, run: TaskRun, transitions: Sequence[TaskTransition]
    ) -> None:
        """Report a task's end and what it made to be skipped."""
        if run.interrupted:
            self._progress.interrupted += 1
        for transition in transitions:
            ended = transition.run
            self._progress.ended(
                ended.name,
                transition.current,
                ended.return_code,
                ended.duration_ns,
                ended.error_message,
            )
        self._change()

    def heartbeat(self, execution: Execution, running: Sequence[TaskRun]) -> None:
        """Nothing: reports have heartbeats of their own."""

    def run_finished(self, _: Execution) -> None:
        """Keep the verdict; ``finish`` tells it."""
        if self._progress.is_untouched:
            return  # told to stop before anything ran: another Pod may run it
        self._closing = True  # `finish` comes at once: the thread would tell the same beside it
        self._progress.final = True
        self._change()

    # -----------------------------------------------------------------------------

    def may_start(self) -> bool:
        """Whether another task may be started; asks the controller if in doubt.

        Time spent frozen counts, so a runner that was given up while it could
        not know does not go on with the next task.
        """
        now = _boot_seconds()
        if now - max(self._answered, self._asked) > STALE_SECONDS:
            self._asked = now
            self._send(seconds=FINAL_SECONDS)
        return not self._dismissed

    def finish(self, *, until_told: Callable[[], bool]) -> bool:
        """Tell the verdict; return whether the controller has it.

        Args:
            until_told: whether to go on trying after FINAL_SECONDS: a Pod
                that is being deleted takes its termination message along.
        """
        self._closing = True
        deadline = time.monotonic() + FINAL_SECONDS
        is_told = False
        while not self._dismissed and not is_told:
            left = max(0.2, deadline - time.monotonic())
            is_told = self._send(seconds=left)
            if is_told or (time.monotonic() >= deadline and not until_told()):
                break
            time.sleep(0.2)
        # Events may take long yet, and lines are dear to the controller.
        self._link.close()
        return is_told

    def _start_thread(self) -> None:
        if self._has_thread:
            return
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            return  # a limit of processes: asked again at the next change; `finish` needs none
        self._has_thread = True

    def _change(self) -> None:
        with self._lock:
            self._progress.sequence += 1
        self._log.write(self._progress.termination_message())
        self._start_thread()
        self._bell.ring()

    def _run(self) -> None:
        is_first = True
        while not self._closing:
            if not self._bell.wait(HEARTBEAT_SECONDS):
                # A heartbeat is a report like any other, only with nothing new in it.
                with self._lock:
                    self._progress.sequence += 1
            if is_first:
                is_first = False
                time.sleep(FIRST_SECONDS)
                self._bell.wait(0)  # it tells of what happened meanwhile, too
            if self._closing:
                return
            if not self._send(seconds=_TRY_SECONDS):
                self._bell.ring()
            time.sleep(MIN_SECONDS)

    def _send(self, *, seconds: float) -> bool:
        """Send the run as it is; return whether it was taken."""
        payload = self._progress.snapshot().to_json()
        try:
            reply = self._link.post(self._path, payload, seconds=seconds)
        except UnreachableError:
            return False
        if reply.status == _HTTP_OK:
            self._answered = _boot_seconds()
            if reply.body.get("order") == Order.STOP:
                self._stop()
            return True
        if reply.status == _HTTP_GONE:
            self._dismissed = True
            self._stop()
        return False


class _Bell:
    """Wakes the one thread that waits for it; rings that nobody heard are one."""

    def __init__(self) -> None:
        self._ringing = _thread.allocate_lock()
        self._silence = _thread.allocate_lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or the next one that comes to wait."""
        with self._ringing:
            if self._silence.locked():
                self._silence.release()

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; return whether there was one in time."""
        return self._silence.acquire(timeout=seconds)


def _boot_seconds() -> float:
    """Return a clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
