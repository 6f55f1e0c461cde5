"""The bytes of events: the original's self-describing JSON, byte for byte. Pure.

Every event tells the states of all tasks, so an event of a run with 10,000 tasks is a
megabyte, and there are 10,000 of them. Hence an event is kept as an `Update`: what
changed, as encoded fragments of single tasks. The `Assembler` in the sender keeps the
latest fragment of each task and joins them when an event's turn comes. Queued events
cost memory by what changed, and none of the bytes is encoded twice.
"""

from __future__ import annotations

from binascii import b2a_base64

from factotum.core import COMPATIBLE_VERSION
from factotum.core.factfile import references
from factotum.core.jsontext import quote
from factotum.core.run import durations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from factotum.core.factfile.document import Factfile
    from factotum.core.run.execution import TaskRun, TaskTransition

JOB_UPDATE = "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"
TASK_UPDATE = "iglu:com.snowplowanalytics.factotum/task_update/jsonschema/1-0-0"


class RunDescription:
    """What all events of a run have in common, encoded once.

    Args:
        factfile: What is run.
        tags: The run's tags.
        run_reference: The run's own reference, 64 hexadecimal digits.
        started_at_ns: When the run began, nanoseconds since the epoch.
    """

    __slots__ = ("before_transition", "behind_duration", "behind_state")

    def __init__(
        self, factfile: Factfile, tags: Mapping[str, str], run_reference: str, started_at_ns: int
    ) -> None:
        compact = to_bytes(factfile.compact)
        encoded = b2a_base64(compact, newline=False).decode("ascii")
        job_reference = references.job_reference(factfile.compact, tags)
        application = f'{{"name":"factotum","version":{quote(COMPATIBLE_VERSION)}}}'
        pairs = ",".join(f"{quote(name)}:{quote(tags[name])}" for name in sorted(tags))
        self.before_transition = to_bytes(
            f'"applicationContext":{application},"factfile":"{encoded}"'
            f',"jobName":{quote(factfile.name)},"jobReference":"{job_reference}",'
        )
        self.behind_duration = to_bytes(f',"runReference":"{run_reference}","runState":')
        self.behind_state = to_bytes(
            f',"startTime":"{durations.to_timestamp(started_at_ns)}","tags":{{{pairs}}}'
            ',"taskStates":['
        )


class Update:
    """One event, as far as it differs from the one before.

    Attributes:
        schema: `JOB_UPDATE` or `TASK_UPDATE`.
        transition: the encoded value of the event's transition field.
        run_state: the state of the run.
        run_duration: how long the run had gone on when the event was made.
        changes: position and new fragment of each task that differs.
    """

    __slots__ = ("changes", "run_duration", "run_state", "schema", "transition")

    def __init__(
        self,
        schema: str,
        transition: bytes,
        run_state: str,
        run_duration: str,
        changes: Sequence[tuple[int, bytes]],
    ) -> None:
        self.schema = schema
        self.transition = transition
        self.run_state = run_state
        self.run_duration = run_duration
        self.changes = changes


class Assembler:
    """Makes bodies of updates, which must come in the order in which they were made."""

    def __init__(self, description: RunDescription) -> None:
        self._description = description
        self._tasks: list[bytes] = []

    def assemble(self, update: Update) -> bytes:
        """Return the event's body."""
        for index, fragment in update.changes:
            if index == len(self._tasks):
                self._tasks.append(fragment)  # the first event names every task, in order
            else:
                self._tasks[index] = fragment
        common = self._description
        is_job = update.schema == JOB_UPDATE
        parts = (
            b'{"schema":"',
            update.schema.encode(),
            b'","data":{',
            common.before_transition,
            b'"jobTransition":' + update.transition + b"," if is_job else b"",
            b'"runDuration":"',
            update.run_duration.encode(),
            b'"',
            common.behind_duration,
            b'"' + update.run_state.encode() + b'"',
            common.behind_state,
            b",".join(self._tasks),
            b"]}}" if is_job else b'],"taskTransitions":' + update.transition + b"}}",
        )
        return b"".join(parts)


def job_transition(previous: str | None, current: str) -> bytes:
    """Return the transition field of a job update."""
    before = "null" if previous is None else quote(previous)
    return to_bytes(f'{{"currentState":{quote(current)},"previousState":{before}}}')


def task_transitions(transitions: Iterable[TaskTransition]) -> bytes:
    """Return the transition field of a task update."""
    return _transitions((each.previous, each.current, each.task_name) for each in transitions)


def task_transitions_from_to(previous: str, current: str, runs: Iterable[TaskRun]) -> bytes:
    """Return the transition field when several tasks go the same way."""
    return _transitions((previous, current, run.name) for run in runs)


def task_fragment(run: TaskRun, *, live_output: bool = False) -> bytes:
    """Return a task's element of ``taskStates`` as it stands now.

    Args:
        run: The task.
        live_output: Show also what a running task has written so far.
    """
    has_ended = run.return_code is not None and run.duration_ns is not None
    parts = []
    if has_ended and run.duration_ns is not None:
        parts.append(f'"duration":"{durations.to_iso(run.duration_ns)}"')
    if (message := run.error_message) is not None:
        parts.append(f'"errorMessage":{quote(message)}')
    if has_ended:
        parts.append(f'"returnCode":{run.return_code}')
    if run.started_at_ns is not None:
        parts.append(f'"started":"{durations.to_timestamp(run.started_at_ns)}"')
    parts.append(f'"state":"{run.state}"')
    if has_ended or live_output:
        if (text := run.stderr_text()) is not None:
            parts.append(f'"stderr":{quote(text)}')
        if (text := run.output_text()) is not None:
            parts.append(f'"stdout":{quote(text)}')
    parts.append(f'"taskName":{quote(run.name)}')
    return to_bytes(f"{{{','.join(parts)}}}")


def to_bytes(text: str) -> bytes:
    """Return UTF-8, as JSON has to be: an argument's bytes that are none become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def _transitions(transitions: Iterable[tuple[str, str, str]]) -> bytes:
    elements = (
        f'{{"currentState":"{current}","previousState":"{previous}","taskName":{quote(name)}}}'
        for previous, current, name in transitions
    )
    return to_bytes(f"[{','.join(elements)}]")
