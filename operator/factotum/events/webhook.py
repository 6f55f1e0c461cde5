"""The run's listener that turns what happens into events and has them delivered.

An event is made in the run's own thread at the moment it tells of (its
``runDuration`` included), then handed to the one sender. The listener never waits;
whoever ends the run decides how long to wait, by `drain`.
"""

from __future__ import annotations

import time

from factotum.core.run import durations
from factotum.core.words.states import RunState, TaskState
from factotum.events import updates
from factotum.events.delivery import Delivery
from factotum.events.retries import RetryPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from factotum.core.factfile.document import Factfile
    from factotum.core.run.execution import Execution, TaskRun, TaskTransition
    from factotum.events.answers import Answer
    from factotum.events.delivery import Client
    from factotum.events.urls import Endpoint


class WebhookListener:
    """Posts the events of one run; an `ExecutionListener`.

    Args:
        endpoint: Where to post.
        factfile: What is run.
        tags: The run's tags.
        run_reference: The run's own reference.
        policy: How stubbornly to deliver.
        live_output: Show what running tasks have written so far; wanted with heartbeats.
        warn: Told of each failed try in words, in the sender's thread. The words hold neither
            what the event says of the job nor more of the address than its host.
        wake: Called in the sender's thread when nothing more will be sent.
    """

    def __init__(  # noqa: PLR0913 - two ways to be told, and neither belongs to another
        self,
        endpoint: Endpoint,
        factfile: Factfile,
        tags: Mapping[str, str],
        run_reference: str,
        *,
        policy: RetryPolicy | None = None,
        live_output: bool = False,
        warn: Callable[[str], None] | None = None,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._began_ns = time.monotonic_ns()
        self._live_output = live_output
        self._endpoint = endpoint
        self._run_reference = run_reference
        self._policy = policy or RetryPolicy()
        self._warn = warn
        assembler = updates.Assembler(
            updates.RunDescription(factfile, tags, run_reference, time.time_ns())
        )
        self._delivery = Delivery(
            self._make_client,
            assembler.assemble,
            policy=self._policy,
            warn=self._tell_failure,
            wake=wake,
        )

    # What happens in the run.

    def run_created(self, execution: Execution) -> None:
        """Event 1: everything waits."""
        self._put_job(None, RunState.WAITING, execution.task_runs)

    def run_started(self, execution: Execution) -> None:
        """Event 2: the first tasks have just been started."""
        changed = [run for run in execution.task_runs if run.state != TaskState.WAITING]
        self._put_job(RunState.WAITING, RunState.RUNNING, changed)

    def tasks_started(
        self,
        execution: Execution,  # noqa: ARG002 - the protocol's
        runs: Sequence[TaskRun],
    ) -> None:
        """Event 3, and one for each later level."""
        if runs:
            transitions = updates.task_transitions_from_to(
                TaskState.WAITING, TaskState.RUNNING, runs
            )
            self._put_tasks(transitions, runs, live=False)

    def task_finished(
        self,
        execution: Execution,
        run: TaskRun,  # noqa: ARG002 - the protocol's
        transitions: Sequence[TaskTransition],
    ) -> None:
        """Event 4: a task has ended, and perhaps others will not run because of it."""
        changed = [transition.run for transition in transitions]
        if self._live_output:
            changed += execution.running
        self._put_tasks(updates.task_transitions(transitions), changed, live=self._live_output)

    def heartbeat(
        self,
        execution: Execution,  # noqa: ARG002 - the protocol's
        running: Sequence[TaskRun],
    ) -> None:
        """Event 5: tasks are still running."""
        if running:
            transitions = updates.task_transitions_from_to(
                TaskState.RUNNING, TaskState.RUNNING, running
            )
            self._put_tasks(transitions, running, live=True)

    def run_finished(self, execution: Execution) -> None:
        """Event 6, the last one."""
        self._put_job(RunState.RUNNING, execution.state, ())
        self._delivery.close()

    # The end of the program.

    @property
    def finished(self) -> bool:
        """Whether nothing more will be sent: all delivered, given up or aborted."""
        return self._delivery.finished

    @property
    def produced(self) -> int:
        """How many events there were."""
        return self._delivery.produced

    @property
    def undelivered(self) -> int:
        """How many events have not reached the consumer."""
        return self._delivery.produced - self._delivery.delivered

    def drain(self, seconds: float | None = None) -> bool:
        """Wait for the end of the delivery; signal handlers run meanwhile.

        Args:
            seconds: Wait no longer than this.

        Returns:
            Whether the delivery has finished.
        """
        self._delivery.close()  # also if the run broke off without its last event
        return self._delivery.drain(seconds)

    def abort(self) -> None:
        """Give up what has not been delivered; safe from any thread and signal handler."""
        self._delivery.abort()

    # How it is done.

    def _put_job(self, previous: str | None, current: str, changed: Iterable[TaskRun]) -> None:
        transition = updates.job_transition(previous, current)
        # Tasks that have just been started show no output, however quick they are.
        changes = [(run.index, updates.task_fragment(run)) for run in changed]
        self._put(updates.JOB_UPDATE, transition, current, changes)

    def _put_tasks(self, transitions: bytes, changed: Iterable[TaskRun], *, live: bool) -> None:
        changes = [(run.index, updates.task_fragment(run, live_output=live)) for run in changed]
        self._put(updates.TASK_UPDATE, transitions, RunState.RUNNING, changes)

    def _put(
        self, schema: str, transition: bytes, run_state: str, changes: Sequence[tuple[int, bytes]]
    ) -> None:
        run_duration = durations.to_iso(time.monotonic_ns() - self._began_ns)
        self._delivery.put(updates.Update(schema, transition, run_state, run_duration, changes))

    def _make_client(self) -> Client:
        # In the sender's thread: the run does not wait for these imports.
        from factotum.events.posting import Poster

        return Poster(self._endpoint, self._policy.timeout)

    def _tell_failure(self, event: updates.Update, answer: Answer) -> None:
        if self._warn is None:
            return
        # Enough to know the event by. The body holds the factfile and the output of tasks,
        # with the values of all variables: the original logs it whole.
        known = (
            f'{{"schema":"{event.schema}","runReference":"{self._run_reference}",'
            f'"runState":"{event.run_state}","runDuration":"{event.run_duration}"}}'
        )
        self._warn(
            f"Failed to send webhook update to '{self._endpoint.shown}': {known}\n"
            f"Reason: {answer.status}, {answer.reason}"
        )
