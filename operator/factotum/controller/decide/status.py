"""The status patches a job can get: each a whole step of its life.

Pure: the moment is passed in. Patches are merge patches, so what must go is
sent as None. The task list is bounded here, since it is what makes a status
grow.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from factotum.controller.decide.conditions import derive_conditions
from factotum.controller.facts.observed import FactfileFact, Plan, Refused
from factotum.controller.facts.pods import PodView
from factotum.core.wire import reports
from factotum.core.wire.reports import Report
from factotum.core.words import reasons
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState, TaskState
from factotum.kube.resource import FactotumJob, format_time, parse_time

MAX_TASK_BYTES: Final = 112 * 1024
"""What the task list may take; the whole status stays under 128 KiB."""
MAX_TASKS: Final = 2000
"""As many as the resource definition allows in the list."""
_MESSAGE_LIMIT: Final = 2048
_SHORT_ERROR: Final = 160

Patch = dict[str, Any]


def waiting(job: FactotumJob, reason: str, message: str, now: datetime) -> Patch | None:
    """QUEUED, for a reason; None if the status says so already."""
    message = message[:_MESSAGE_LIMIT]
    said = (job.state, job.reason, job.message) == (JobState.QUEUED, reason, message)
    if said and job.is_observed:
        return None
    return step(job, reason, message, now)


def identity(fact: FactfileFact | None) -> Patch:
    """The job id, as soon as the factfile was read."""
    job_id = fact.job_id if isinstance(fact, Plan | Refused) else ""
    return {"jobId": job_id} if job_id else {}


def observed(job: FactotumJob, now: datetime) -> Patch:
    """Say again what holds, of the spec as it is now: a change of it changed nothing else."""
    outcome = str(job.status.get("outcome", ""))
    return _step(job, job.state, outcome, job.reason, job.message, now)


def resume_seen(job: FactotumJob) -> Patch:
    """Remember the value that asks for another attempt: only another one asks again."""
    is_new = bool(job.resume) and job.resume != job.status.get("resumeSeen")
    return {"resumeSeen": job.resume} if is_new else {}


def kept_fields(last: Mapping[str, Any], *, keeps: bool) -> Patch:
    """Return the tasks as another attempt finds them: those that ended well, and no others.

    Args:
        last: the status at the end of the attempt before.
        keeps: whether anything is kept at all.
    """
    tasks, letters = last.get("tasks") or (), last.get("taskStates") or ""
    if len(letters) > len(tasks):
        # The names are in the factfile, and follow with the claim.
        left = "".join(c if keeps and c in reports.KEPT else "W" for c in letters)
        return {**_counted(left), "tasks": []}
    fresh = [
        dict(task)
        if keeps and reports.STATE_LETTERS.get(task.get("state", "")) in tuple(reports.KEPT)
        else {"name": task.get("name", ""), "state": TaskState.WAITING}
        for task in tasks
    ]
    return task_fields(fresh) if fresh else {}


def claimed(
    job: FactotumJob,
    plan: Plan,
    pod: PodView,
    claim_id: str,
    now: datetime,
    *,
    caveat: str = "",
) -> Patch:
    """WORKING: the attempt belongs to one runner process.

    Args:
        caveat: what is to be told beside that.
    """
    moment = format_time(now)
    kept = kept_report(job, len(plan.task_names))
    tasks = (
        [{"name": name, "state": TaskState.WAITING} for name in plan.task_names]
        if kept is None
        else tasks_of(kept, plan.task_names)
    )
    message = f"running in Pod {pod.name}" + (f"; {caveat}" if caveat else "")
    return _step(job, JobState.WORKING, RunState.RUNNING, Reason.CLAIMED, message, now) | {
        "jobId": plan.job_id,
        "factfileHash": plan.digest,
        "attempt": job.attempt,
        "launch": job.launch,
        "nextLaunchTime": None,
        "claim": {
            "id": claim_id,
            "podName": pod.name,
            "podUID": pod.uid,
            "nodeName": pod.node_name,
            "time": moment,
        },
        "sequence": 0,
        "startTime": moment,
        **_no_order(job),
        **resume_seen(job),
        **task_fields(tasks),
    }


def progressed(job: FactotumJob, report: Report, names: Sequence[str]) -> Patch:
    """What a report says of the tasks."""
    return {
        "observedGeneration": job.generation,
        "sequence": report.sequence,
        "jobReference": report.job_reference,
        "runReference": report.run_reference,
        **task_fields(tasks_of(report, names)),
    }


def pod_gone(job: FactotumJob, now: datetime) -> Patch | None:
    """WORKING, though its Pod was removed: its runner may still report."""
    if job.reason == Reason.POD_GONE:
        return None
    return _step(
        job,
        JobState.WORKING,
        RunState.RUNNING,
        Reason.POD_GONE,
        "the Pod was removed before its runner reported a result; waiting for a last report",
        now,
    )


def relaunch(job: FactotumJob, *, message: str, not_before: datetime, now: datetime) -> Patch:
    """QUEUED for the attempt's next Pod; the last one's claim is refused from now on."""
    return (
        step(job, Reason.RELAUNCHING, message, now)
        | released(job)
        | {"nextLaunchTime": format_time(not_before)}
    )


def released(job: FactotumJob) -> Patch:
    """The fields that take the attempt from its runner, whoever asks next."""
    return {
        "attempt": job.attempt,
        "launch": job.launch + 1,
        "claim": None,
        "sequence": None,
        "startTime": None,
        **_no_order(job),
    }


def _no_order(job: FactotumJob) -> Patch:
    return {"order": None} if "order" in job.status else {}


def finished(
    job: FactotumJob,
    *,
    succeeded: bool,
    reason: str,
    message: str,
    now: datetime,
) -> Patch:
    """DONE, with the outcome."""
    outcome = RunState.SUCCEEDED if succeeded else RunState.FAILED
    return _step(job, JobState.DONE, outcome, reason, message, now) | {
        "completionTime": format_time(now),
        "nextLaunchTime": None,
        **_no_order(job),
        **resume_seen(job),
    }


def simulated(job: FactotumJob, plan: Plan, now: datetime) -> Patch:
    """DONE without a Pod: a dry run, in which every task succeeds."""
    total = len(plan.task_names)
    message = f"{total}/{total} tasks would run; nothing was executed"
    tasks = [{"name": name, "state": TaskState.SUCCEEDED} for name in plan.task_names]
    patch = finished(job, succeeded=True, reason=Reason.DRY_RUN, message=message, now=now)
    return patch | identity(plan) | {"factfileHash": plan.digest} | task_fields(tasks)


def step(job: FactotumJob, reason: str, message: str, now: datetime) -> Patch:
    """Return a step into the state that a reason belongs to; one that is not ours is of QUEUED."""
    row = reasons.TABLE.get(reason)
    state = (JobState.QUEUED, RunState.WAITING) if row is None else (row.state, row.outcome)
    return _step(job, *state, reason, message, now)


def _step(
    job: FactotumJob,
    state: str,
    outcome: str,
    reason: str,
    message: str,
    now: datetime,
) -> Patch:
    message = message[:_MESSAGE_LIMIT]
    return {
        "observedGeneration": job.generation,
        "state": state,
        "outcome": outcome,
        "reason": reason,
        "message": message,
        "conditions": derive_conditions(
            job,
            state=state,
            outcome=outcome,
            reason=reason,
            message=message,
            now=now,
        ),
    }


def tasks_of(report: Report, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return ``status.tasks`` for a report on tasks of these names."""
    tasks = []
    for index, (letter, name) in enumerate(zip(report.states, names, strict=True)):
        task: dict[str, Any] = {"name": name, "state": reports.STATE_WORDS[letter]}
        if index in report.started:
            moment = datetime.fromtimestamp(report.started[index] / 1000, tz=UTC)
            task["startedAt"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if index in report.seconds:
            task["durationSeconds"] = round(report.seconds[index], 3)
        if index in report.codes:
            task["returnCode"] = report.codes[index]
        if index in report.errors:
            task["errorMessage"] = report.errors[index]
        tasks.append(task)
    return tasks


def task_fields(tasks: Sequence[Mapping[str, Any]]) -> Patch:
    """Return the status fields that tell of the tasks, cut to what fits.

    Error messages are shortened first, then tasks that succeeded keep no more
    than their name; if that is not enough, the tasks that need no attention go
    and only their letters and numbers stay, which a whole list does not need.
    """
    kept = [dict(task) for task in tasks]
    if not _fits(kept):
        for task in kept:
            if "errorMessage" in task:
                task["errorMessage"] = task["errorMessage"][:_SHORT_ERROR]
    if not _fits(kept):
        kept = [_bare(task) if task["state"] == TaskState.SUCCEEDED else task for task in kept]
    for unremarkable in (
        (TaskState.WAITING,),
        (TaskState.WAITING, TaskState.SUCCEEDED),
        (TaskState.WAITING, TaskState.SUCCEEDED, TaskState.SKIPPED),
    ):
        if _fits(kept):
            break
        kept = [task for task in kept if task["state"] not in unremarkable]
    while not _fits(kept):
        kept = kept[: len(kept) // 2]
    counted = _counted("".join(reports.STATE_LETTERS.get(t["state"], "W") for t in tasks))
    if len(kept) == len(tasks):
        counted |= {"taskCounts": None, "taskStates": None}
    return {**counted, "tasks": kept}


def _counted(letters: str) -> Patch:
    """Return what is told of all tasks, in whichever room there is."""
    counts = {word: letters.count(letter) for word, letter in reports.STATE_LETTERS.items()}
    executed = sum(counts[state] for state in TaskState.ENDED)
    return {
        "progress": f"{executed}/{len(letters)}",
        "taskCounts": counts,
        "taskStates": letters,
    }


def kept_report(job: FactotumJob, total: int) -> Report | None:
    """Return the results that an attempt of so many tasks begins with; None: it keeps none."""
    known = last_report(job, total)
    return known if known is not None and set(known.states) & set(reports.KEPT) else None


def last_report(job: FactotumJob, total: int) -> Report | None:
    """Return what a status says of all of so many tasks, as a report; None: it does not say."""
    tasks = job.status.get("tasks") or ()
    letters = str(job.status.get("taskStates") or "")
    if len(tasks) == total:
        letters = "".join(reports.STATE_LETTERS.get(task.get("state", ""), "?") for task in tasks)
    elif len(letters) == total:
        tasks = ()
    if len(letters) != total or set(letters) - set(reports.STATE_WORDS):
        return None
    moments = {index: parse_time(task.get("startedAt")) for index, task in enumerate(tasks)}
    return Report(
        claim_id="",
        sequence=job.sequence,
        final=False,
        interrupted=0,
        states=letters,
        codes={i: t["returnCode"] for i, t in enumerate(tasks) if "returnCode" in t},
        started={i: int(m.timestamp() * 1000) for i, m in moments.items() if m is not None},
        seconds={i: t["durationSeconds"] for i, t in enumerate(tasks) if "durationSeconds" in t},
        errors={i: t["errorMessage"] for i, t in enumerate(tasks) if "errorMessage" in t},
        job_reference=str(job.status.get("jobReference", "")),
        run_reference=str(job.status.get("runReference", "")),
    )


def _bare(task: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": task["name"], "state": task["state"]}


def _fits(tasks: Sequence[Mapping[str, Any]]) -> bool:
    if len(tasks) > MAX_TASKS:
        return False
    text = json.dumps(tasks, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode()) <= MAX_TASK_BYTES
