"""What to do about a claimed job: the run is a runner's, find out how it goes.

Pure; one half of ``table``.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from factotum.controller.decide import attempts, orders, status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision
from factotum.controller.decide.launching import unstarted_end
from factotum.controller.decide.outcomes import cause_of, known_report, lost, verdict_of
from factotum.controller.facts.observed import Ask, Observed, Plan
from factotum.controller.facts.pods import PodView
from factotum.core.wire import endings, termination
from factotum.core.wire.reports import Report
from factotum.core.words import reasons
from factotum.core.words.reasons import Reason
from factotum.core.words.states import TaskState
from factotum.kube.resource import Claim, FactotumJob, parse_time

GONE_SECONDS: Final = 60.0
"""How long a runner whose Pod was removed may still report its end."""
EXPLAIN_SECONDS: Final = 10.0
"""How long the end of a run that was shut down stays open for its Pod to say by whom."""


def watch(seen: Observed, claim: Claim, now: datetime) -> Decision:
    """Decide about a job that a runner has claimed."""
    job = seen.job
    report = seen.report
    fresh = report is not None and report.sequence > job.sequence
    pod = next((p for p in seen.pods if p.uid == claim.pod_uid), None)
    if report is not None and fresh and report.final:
        # What was stopped has tasks left to tell of, but no end before its Pod has ended.
        is_stopped = orders.is_ordered(job) and not orders.is_whole(report)
        is_open = is_stopped or _is_unexplained(seen, report, pod, now)
        return _progress(seen, report) if is_open else _verdict(seen, report, now)
    if pod is None:
        step = _gone(seen, claim, now)
    elif pod.ended:
        step = _ended(seen, claim, pod, now)
    elif report is not None and report.final and not orders.is_ordered(job):
        is_open = _is_unexplained(seen, report, pod, now)
        left = max(0.1, EXPLAIN_SECONDS - seen.final_seconds)
        step = Decision(again_in=left) if is_open else _verdict(seen, report, now)
    else:
        step = orders.pursue(seen, pod, now)
    if step is not None:
        return step
    if report is not None and fresh:
        return _progress(seen, report) if seen.progress_due else Decision(again_in=1.0)
    return _running(seen, pod, now)


def _progress(seen: Observed, report: Report) -> Decision:
    if (names := _task_names(seen)) is None:
        return Decision(ask=frozenset({Ask.FACTFILE}))
    return Decision(patch=status.progressed(seen.job, report, names))


def _running(seen: Observed, pod: PodView | None, now: datetime) -> Decision:
    """Decide about a run of which there is nothing new."""
    job = seen.job
    # A Pod whose labels or owners were taken off is shown by no watch any more.
    again = None if pod is not None and pod.belongs_to(job) else RETRY_SECONDS
    if job.deleting:
        # Only its owner going deletes a Pod, and somebody's finalizer keeps that one. Never a
        # Pod that only the status calls the job's: others may write that.
        is_ours = pod is not None and pod.belongs_to(job) and not pod.deleting
        orphan = (pod,) if pod is not None and is_ours else ()
        return Decision(delete=orphan, again_in=again)
    if orders.is_ordered(job) and pod is not None and not pod.deleting:
        left = max(1.0, orders.seconds_left(job, now))
        again = left if again is None else min(left, again)
    return Decision(again_in=again)


def _gone(seen: Observed, claim: Claim, now: datetime) -> Decision | None:
    """Decide about a claim whose Pod is not in sight; None: go on as usual."""
    if claim.pod_uid not in seen.absent:
        return Decision(ask=frozenset({Ask.CLAIMED_POD}))
    report = seen.report
    if report is not None and report.final:
        if not orders.is_ordered(seen.job):
            return _verdict(seen, report, now)
        return _lose(seen, now, Reason.INTERRUPTED, "the run was stopped")
    if seen.gone_seconds >= GONE_SECONDS:
        message = f"Pod {claim.pod_name} was removed and its runner did not report"
        return _lose(seen, now, Reason.LOST, message)
    patch = status.pod_gone(seen.job, now)
    return Decision(patch=patch, again_in=RETRY_SECONDS) if patch else None


def _ended(seen: Observed, claim: Claim, pod: PodView, now: datetime) -> Decision:
    message = termination.decode(pod.terminated.message) if pod.terminated else None
    if message is not None and message.claim_id == claim.id:
        if message.kind == "unstarted":
            is_ordered = orders.is_ordered(seen.job)
            return (
                orders.unstarted(seen.job, now) if is_ordered else unstarted_end(seen.job, pod, now)
            )
        if message.kind == "final":
            if (names := _task_names(seen)) is None:
                return Decision(ask=frozenset({Ask.FACTFILE}))
            return _verdict(seen, verdict_of(message, seen, names), now)
        seen = _with_last_word(seen, message)
    if seen.report is not None and seen.report.final and not orders.is_ordered(seen.job):
        return _verdict(seen, seen.report, now)
    reason, text = lost(pod)
    return _lose(seen, now, reason, text)


def _with_last_word(seen: Observed, message: termination.Verdict) -> Observed:
    """Know the tasks as the Pod itself last had them, if no report was newer."""
    names = _task_names(seen)
    newest = seen.report.sequence if seen.report else seen.job.sequence
    if names is None or message.sequence <= newest:
        return seen
    return replace(seen, report=verdict_of(message, seen, names).replace(final=False))


def _verdict(seen: Observed, report: Report, now: datetime) -> Decision:
    names = _task_names(seen)
    if names is None:
        return Decision(ask=frozenset({Ask.FACTFILE}))
    if orders.is_ordered(seen.job) and not orders.is_whole(report):
        return orders.obeyed(seen.job, status.progressed(seen.job, report, names), now)
    reason, message = endings.ending(report, names)
    if reason == Reason.INTERRUPTED:
        reason, message = _interruption(seen, message, now)
    patch = status.progressed(seen.job, report, names) | status.finished(
        seen.job, succeeded=report.succeeded, reason=reason, message=message, now=now
    )
    return attempts.ended(seen.job, patch, now)


def _is_unexplained(seen: Observed, report: Report, pod: PodView | None, now: datetime) -> bool:
    """Whether a run was shut down, and who did it is still to be told by its Pod.

    A kubelet that evicts it, makes room for another or shuts its Node down says so only once
    no container runs any more.
    """
    if not report.interrupted or seen.job.deleting or seen.final_seconds >= EXPLAIN_SECONDS:
        return False
    if pod is None or pod.ended or pod.deleting or pod.reason or cause_of(pod) is not None:
        return False
    return not _is_over(seen.job, pod, now)


def _is_over(job: FactotumJob, pod: PodView, now: datetime) -> bool:
    """Whether a Pod's deadline has passed: a last report overtakes the kubelet's word of it."""
    deadline, started = job.spec.get("activeDeadlineSeconds"), parse_time(pod.started)
    return bool(deadline and started and now - started >= timedelta(seconds=deadline - 1))


def _interruption(seen: Observed, message: str, now: datetime) -> tuple[str, str]:
    """Return why a run was shut down, as far as its Pod says."""
    claim = seen.job.claim
    pod = next((p for p in seen.pods if claim and p.uid == claim.pod_uid), None)
    told = cause_of(pod) if pod is not None else None
    if told is not None:
        return told[0], f"the run was shut down: {told[1]}. {message}"
    if pod is not None and pod.reason and pod.reason not in reasons.TABLE:
        return pod.reason, f"the run was shut down: {pod.message or pod.reason}. {message}"
    if pod is not None and _is_over(seen.job, pod, now):
        deadline = seen.job.spec.get("activeDeadlineSeconds")
        return Reason.DEADLINE_EXCEEDED, f"the run took longer than {deadline} s. {message}"
    cause = "its Pod was deleted" if pod is None or pod.deleting else "its Pod was told to stop"
    return Reason.INTERRUPTED, f"the run was shut down: {cause}. {message}"


def _lose(seen: Observed, now: datetime, reason: str, message: str) -> Decision:
    """DONE/FAILED without a verdict: what ran then is FAILED for that reason."""
    names = _task_names(seen)
    if names is None:
        return Decision(ask=frozenset({Ask.FACTFILE}))
    known = known_report(seen, names)
    tasks = status.tasks_of(known, names) if known else _tasks_now(seen, names)
    for task in tasks:
        if task["state"] == TaskState.RUNNING:
            task["state"] = TaskState.FAILED
            task["errorMessage"] = f"{reason}: {message}"
    told = status.task_fields(tasks)
    if orders.is_ordered(seen.job):
        return orders.obeyed(seen.job, told, now, loss=message if reason == Reason.LOST else "")
    patch = status.finished(seen.job, succeeded=False, reason=reason, message=message, now=now)
    return attempts.ended(seen.job, patch | told, now)


def _tasks_now(seen: Observed, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the tasks as the status has them; what it left out is WAITING."""
    before = {task["name"]: dict(task) for task in seen.job.status.get("tasks") or ()}
    return [before.get(name, {"name": name, "state": TaskState.WAITING}) for name in names]


def _task_names(seen: Observed) -> tuple[str, ...] | None:
    """Return the names in level order; None if the factfile must be read for them."""
    if isinstance(seen.factfile, Plan):
        return seen.factfile.task_names
    tasks = seen.job.status.get("tasks") or ()
    total = seen.job.total_tasks
    if len(tasks) == total:
        return tuple(task["name"] for task in tasks)
    if seen.factfile is None:
        return None
    # The factfile went away meanwhile and the status holds only part of the
    # names: numbers are better than to lose the result.
    return tuple(f"task {number}" for number in range(1, total + 1))
