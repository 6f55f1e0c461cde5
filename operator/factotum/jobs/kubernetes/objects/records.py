"""FactotumJobs as front doors see jobs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factotum.core.wire.reports import STATE_WORDS
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState, TaskState
from factotum.jobs.kubernetes.objects import naming
from factotum.jobs.kubernetes.objects.submission import Submitted
from factotum.jobs.views import OVER, AttemptView, JobView, Order, TaskView
from factotum.kube.api import RawObject
from factotum.kube.resource import Desired, FactotumJob, parse_time
from factotum.persistence.entries import factfile_args, factfile_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is remembered of one version of a FactotumJob.

    Attributes:
        view: without its place in the queue.
        turn: by what the operator gives out its workers, oldest first.
        is_open: it has not ended, or is to have another attempt.
        waits: it stands in the queue.
        pods: the Pods of its attempts, by number, as far as they are known.
        config_map: the one that its factfile is in; empty: none.
    """

    uid: str
    name: str
    version: int
    view: JobView
    turn: tuple[int, str]
    args: tuple[str, ...]
    is_open: bool
    waits: bool
    pods: Mapping[int, str]
    config_map: str

    @property
    def age(self) -> tuple[int, str]:
        """By what jobs are listed, the newest last."""
        return self.view.submitted_ms, self.uid


def read(raw: RawObject) -> Record:
    """Read a FactotumJob."""
    job = FactotumJob.from_raw(raw)
    submitted = Submitted.read(raw)
    resumes = is_resuming(job)
    is_open = (not job.is_done or resumes) and not job.deleting
    reference = (job.spec.get("factfileFrom") or {}).get("configMapKeyRef") or {}
    view = _view(job, submitted, resumes=resumes)
    return Record(
        uid=job.uid,
        name=job.name,
        version=job.version,
        view=view,
        turn=(_milliseconds(job.created) or 0, job.uid),
        args=submitted.args if submitted is not None else factfile_args(job.spec),
        is_open=is_open,
        waits=is_open and view.state == JobState.QUEUED and view.reason != Reason.SUSPENDED,
        pods=_pods(job),
        config_map=str(reference.get("name") or ""),
    )


def is_resuming(job: FactotumJob) -> bool:
    """Whether a job that has failed is to have another attempt, which has not begun yet."""
    if not job.is_done or job.status.get("outcome") != RunState.FAILED or job.deleting:
        return False
    is_asked = bool(job.resume) and job.resume != job.status.get("resumeSeen", "")
    return (is_asked or job.reason == Reason.CANCELLED) and job.desired == Desired.RUN


def _view(job: FactotumJob, submitted: Submitted | None, *, resumes: bool) -> JobView:
    state, outcome = job.state or JobState.QUEUED, job.status.get("outcome") or RunState.WAITING
    reason, message, attempt = job.reason, job.message, job.attempt
    if resumes:
        state, outcome, reason = JobState.QUEUED, RunState.WAITING, Reason.RESUMED
        attempt += 1
        message = f"resumed: attempt {attempt} begins"
    job_id = job.job_id or (submitted.job_id if submitted is not None else "")
    total, done, failed = _counts(job)
    return JobView(
        key=naming.key(job.name, job.uid),
        job_id=job_id,
        name=submitted.name if submitted is not None else job.name,
        factfile_path=(
            submitted.factfile_path
            if submitted is not None
            else factfile_path(job.spec, job.namespace, job.name)
        ),
        state=str(state),
        outcome=str(outcome),
        reason=reason,
        message=message,
        order=Order(job.desired),
        attempt=attempt,
        tags=job.tags,
        tasks_total=total,
        tasks_done=done,
        tasks_failed=failed,
        position=None,
        submitted_ms=_submitted_ms(job, submitted),
        started_ms=_milliseconds(job.status.get("startTime")),
        ended_ms=None if resumes else _milliseconds(job.status.get("completionTime")),
        sequence=job.version,
    )


def _submitted_ms(job: FactotumJob, submitted: Submitted | None) -> int:
    """Return when a job was made; what others may have written shifts it within its second."""
    created = _milliseconds(job.created) or 0
    rest = 0 if submitted is None else submitted.moment_ms - created
    return created + max(0, min(999, rest))


def _milliseconds(text: object) -> int | None:
    moment = parse_time(text)
    return None if moment is None else int(moment.timestamp() * 1000)


def _counts(job: FactotumJob) -> tuple[int, int, int]:
    """Count a job's tasks: all, those that are over, those that failed."""
    letters = str(job.status.get("taskStates") or "")
    states = [STATE_WORDS.get(letter, "") for letter in letters] or [
        str(task.get("state", "")) for task in job.status.get("tasks") or ()
    ]
    done = sum(state in OVER for state in states)
    total = len(states) or job.total_tasks
    if not total:
        data = (job.spec.get("factfile") or {}).get("data") or {}
        total = len(data.get("tasks") or ())
    return total, done, states.count(TaskState.FAILED)


def _pods(job: FactotumJob) -> dict[int, str]:
    pods = {
        entry["attempt"]: str(entry.get("podName") or "")
        for entry in job.status.get("attempts") or ()
        if isinstance(entry.get("attempt"), int)
    }
    if job.claim is not None:
        pods[job.attempt] = job.claim.pod_name
    return {number: name for number, name in pods.items() if name}


def has_all_tasks(job: FactotumJob) -> bool:
    """Whether a job's status names each of its tasks."""
    return bool(job.status.get("tasks")) and not job.status.get("taskStates")


def tasks(job: FactotumJob, names: Sequence[str]) -> tuple[TaskView, ...]:
    """Show a job's tasks.

    Args:
        names: of all of them in level order, where the status does not name them all.
    """
    told = {str(raw.get("name", "")): raw for raw in job.status.get("tasks") or ()}
    if has_all_tasks(job):
        return tuple(map(_task, told.values()))
    letters = str(job.status.get("taskStates") or "")
    shown = []
    for index, name in enumerate(names):
        letter = letters[index : index + 1]
        shown.append(
            _task({"name": name, "state": STATE_WORDS.get(letter, TaskState.WAITING)})
            if name not in told
            else _task(told[name])
        )
    return tuple(shown)


def _task(raw: Mapping[str, Any]) -> TaskView:
    return TaskView(
        name=str(raw.get("name", "")),
        state=str(raw.get("state", TaskState.WAITING)),
        started_ms=_milliseconds(raw.get("startedAt")),
        seconds=raw.get("durationSeconds"),
        return_code=raw.get("returnCode"),
        error=str(raw.get("errorMessage") or ""),
    )


def attempts(job: FactotumJob) -> tuple[AttemptView, ...]:
    """Show a job's attempts, as far as they are remembered."""
    earlier = [
        AttemptView(
            number=int(entry.get("attempt") or 0),
            reason=str(entry.get("reason") or ""),
            message="",
            started_ms=_milliseconds(entry.get("startTime")),
            ended_ms=_milliseconds(entry.get("completionTime")),
        )
        for entry in job.status.get("attempts") or ()
    ]
    if job.claim is None and not job.is_done:
        return tuple(earlier)
    now = AttemptView(
        number=job.attempt,
        reason=job.reason if job.is_done else "",
        message=job.message if job.is_done else "",
        started_ms=_milliseconds(job.status.get("startTime")),
        ended_ms=_milliseconds(job.status.get("completionTime")),
    )
    return (*(each for each in earlier if each.number != now.number), now)
