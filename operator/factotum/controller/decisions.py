"""What to do about one job: the table the whole controller turns on.

``decide`` is pure. Any event only says "look again", so deciding twice about
the same facts gives the same, and a decision carried out leaves nothing to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from factotum.controller import status
from factotum.controller.facts import (
    AnyNode,
    Ask,
    HostUnknown,
    NoNode,
    Observed,
    OnNode,
    Plan,
    PodView,
    Refused,
    SeveralNodes,
    Unreadable,
)
from factotum.controller.outcomes import known_report, lost, verdict_of
from factotum.core import termination
from factotum.core.reports import Report
from factotum.kube.resource import Claim, FactotumJob, parse_time

MAX_LAUNCHES: Final = 6
"""Pods of one attempt that may end unclaimed before the job fails."""
LAUNCH_BACKOFF_SECONDS: Final = (0, 5, 10, 20, 40)
GONE_SECONDS: Final = 60.0
"""How long a runner whose Pod was removed may still report its end."""
SLOW_START_SECONDS: Final = 5.0
"""An unclaimed Pod that takes longer gets its reason told."""
RETRY_SECONDS: Final = 5.0
"""When to look again for what is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An Event to record."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, in this order: ask, patch, delete, create.

    Attributes:
        ask: questions; nothing else is done until they are answered.
        patch: a status patch, which also fences what follows it.
        reported: sequence of the report that the patch contains.
        delete: Pods to delete.
        create: create the Pod of the current launch, from these facts.
        again_in: seconds after which to look again, whatever happens.
    """

    ask: frozenset[Ask] = field(default_factory=frozenset)
    patch: Mapping[str, Any] | None = None
    reported: int = 0
    notice: Notice | None = None
    delete: tuple[PodView, ...] = ()
    create: bool = False
    again_in: float | None = None


NOTHING: Final = Decision()


def decide(seen: Observed, now: datetime) -> Decision:
    """Return what to do about a job, given every fact about it."""
    job = seen.job
    if job.deleting:
        return NOTHING
    if job.is_done:
        return _tidy(seen)
    claim = job.claim
    if claim is not None:
        return _watch(seen, claim, now)
    return _launch(seen, now)


def _tidy(seen: Observed) -> Decision:
    claim = seen.job.claim
    mine = claim.pod_uid if claim else ""
    stray = tuple(p for p in seen.pods if not p.ended and not p.deleting and p.uid != mine)
    return Decision(delete=stray) if stray else NOTHING


# --- claimed: the run belongs to a runner; find out how it goes -------------


def _watch(seen: Observed, claim: Claim, now: datetime) -> Decision:
    job = seen.job
    report = seen.report
    fresh = report is not None and report.sequence > job.sequence
    if report is not None and fresh and report.final:
        return _verdict(seen, report, now)
    pod = next((p for p in seen.pods if p.uid == claim.pod_uid), None)
    if pod is not None and pod.ended:
        return _ended(seen, claim, pod, now)
    if pod is None:
        gone = _gone(seen, claim, now)
        if gone is not None:
            return gone
    if report is not None and fresh:
        if not seen.progress_due:
            return Decision(again_in=1.0)
        if (names := _task_names(seen)) is None:
            return Decision(ask=frozenset({Ask.FACTFILE}))
        return Decision(patch=status.progressed(job, report, names), reported=report.sequence)
    return Decision(again_in=RETRY_SECONDS) if pod is None else NOTHING


def _gone(seen: Observed, claim: Claim, now: datetime) -> Decision | None:
    """Decide about a claim whose Pod is not in sight; None: go on as usual."""
    if claim.pod_uid not in seen.absent:
        return Decision(ask=frozenset({Ask.ABSENCE}))
    if seen.gone_seconds >= GONE_SECONDS:
        return _lose(
            seen, now, "Lost", f"Pod {claim.pod_name} was removed and its runner did not report"
        )
    patch = status.pod_gone(seen.job, now)
    return Decision(patch=patch, again_in=RETRY_SECONDS) if patch else None


def _ended(seen: Observed, claim: Claim, pod: PodView, now: datetime) -> Decision:
    message = termination.decode(pod.terminated.message) if pod.terminated else None
    if message is not None and message.claim_id == claim.id:
        if message.kind == "unstarted":
            return Decision(patch=_next_launch(seen.job, pod, now))
        if message.kind == "final":
            if (names := _task_names(seen)) is None:
                return Decision(ask=frozenset({Ask.FACTFILE}))
            return _verdict(seen, verdict_of(message, seen, names), now)
    reason, text = lost(pod)
    return _lose(seen, now, reason, text)


def _verdict(seen: Observed, report: Report, now: datetime) -> Decision:
    names = _task_names(seen)
    if names is None:
        return Decision(ask=frozenset({Ask.FACTFILE}))
    tasks = status.tasks_of(report, names)
    reason, message = status.end_message(tasks)
    if report.states and not report.states.strip("W") and not report.interrupted:
        reason, message = "NotRun", report.errors.get(0, "the runner started no task")
    elif report.interrupted or (not report.succeeded and reason != "TaskFailed"):
        reason, message = "Interrupted", f"the run was shut down. {message}"
    patch = status.progressed(seen.job, report, names) | status.finished(
        seen.job, succeeded=report.succeeded, reason=reason, message=message, now=now
    )
    return _done(patch, reported=report.sequence)


def _lose(seen: Observed, now: datetime, reason: str, message: str) -> Decision:
    """DONE/FAILED without a verdict: what ran then is FAILED for that reason."""
    names = _task_names(seen)
    if names is None:
        return Decision(ask=frozenset({Ask.FACTFILE}))
    known = known_report(seen, names)
    tasks = status.tasks_of(known, names) if known else _tasks_now(seen, names)
    for task in tasks:
        if task["state"] == "RUNNING":
            task["state"] = "FAILED"
            task["errorMessage"] = f"{reason}: {message}"
    patch = status.finished(
        seen.job, succeeded=False, reason=reason, message=message, now=now
    ) | status.task_fields(tasks)
    return _done(patch)


def _tasks_now(seen: Observed, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the tasks as the status has them; what it left out is WAITING."""
    before = {task["name"]: dict(task) for task in seen.job.status.get("tasks") or ()}
    return [before.get(name, {"name": name, "state": "WAITING"}) for name in names]


def _task_names(seen: Observed) -> tuple[str, ...] | None:
    """Return the names in level order; None if the factfile must be read for them."""
    if isinstance(seen.factfile, Plan):
        return seen.factfile.task_names
    tasks = seen.job.status.get("tasks") or ()
    total = int(str(seen.job.status.get("progress") or "0/0").split("/")[1])
    if len(tasks) == total:
        return tuple(task["name"] for task in tasks)
    if seen.factfile is None:
        return None
    # The factfile went away meanwhile and the status holds only part of the
    # names: numbers are better than to lose the result.
    return tuple(f"task {number}" for number in range(1, total + 1))


# --- unclaimed: get a Pod to run it -----------------------------------------


def _launch(seen: Observed, now: datetime) -> Decision:
    job = seen.job
    current = [p for p in seen.pods if (p.attempt, p.launch) == (job.attempt, job.launch)]
    alive = next((p for p in current if not p.ended and not p.deleting), None)
    others = tuple(p for p in seen.pods if p not in current and not p.ended and not p.deleting)
    if others:
        return Decision(delete=others)
    if alive is not None:
        return _starting(seen, alive, now)
    if current:
        return _unclaimed_end(job, current[-1], now)
    return _prepare(seen, now)


def _starting(seen: Observed, pod: PodView, now: datetime) -> Decision:
    if seen.pending_seconds < SLOW_START_SECONDS:
        return Decision(again_in=SLOW_START_SECONDS)
    if not pod.waiting:
        return Decision(again_in=RETRY_SECONDS)
    reason = pod.waiting.split(":", 1)[0] or "PodPending"
    patch = status.waiting(seen.job, reason, f"Pod {pod.name} does not start: {pod.waiting}", now)
    return Decision(patch=patch, again_in=RETRY_SECONDS)


def _unclaimed_end(job: FactotumJob, pod: PodView, now: datetime) -> Decision:
    if pod.reason == "DeadlineExceeded":
        message = f"Pod {pod.name} did not start before the deadline"
        return _done(
            status.finished(
                job, succeeded=False, reason="DeadlineExceeded", message=message, now=now
            )
        )
    if job.launch >= MAX_LAUNCHES:
        message = f"{job.launch} Pods ended before their runner could claim the job; the last: "
        return _done(
            status.finished(
                job, succeeded=False, reason="LaunchFailed", message=message + _why(pod), now=now
            )
        )
    return Decision(patch=_next_launch(job, pod, now))


def _next_launch(job: FactotumJob, pod: PodView, now: datetime) -> Mapping[str, Any]:
    delay = LAUNCH_BACKOFF_SECONDS[min(job.launch - 1, len(LAUNCH_BACKOFF_SECONDS) - 1)]
    return status.relaunch(
        job,
        reason="Relaunching",
        message=f"Pod {pod.name} ended before a task was started: {_why(pod)}",
        not_before=now + timedelta(seconds=delay),
        now=now,
    )


def _why(pod: PodView) -> str:
    if pod.terminated is not None:
        return f"{pod.terminated.reason or 'ended'}, exit code {pod.terminated.exit_code}"
    if pod.deleting:
        return "it was deleted"
    return f"{pod.reason or pod.phase} {pod.message}".strip()


def _prepare(seen: Observed, now: datetime) -> Decision:
    job = seen.job
    ask = {
        question
        for question, fact in ((Ask.HOST, seen.host), (Ask.FACTFILE, seen.factfile))
        if fact is None
    }
    if ask:
        return Decision(ask=frozenset(ask))
    stop = _refuse(seen, now)
    if stop is not None:
        return stop
    wait = _hold_back(seen)
    if wait is not None:
        return Decision(
            patch=status.waiting(
                job,
                wait.reason,
                wait.message,
                now,
                accepted=not isinstance(seen.factfile, Unreadable),
            ),
            again_in=RETRY_SECONDS,
        )
    if job.spec.get("dryRun") and isinstance(seen.factfile, Plan):
        return _done(status.simulated(job, seen.factfile, now) | {"jobId": seen.factfile.job_id})
    not_before = parse_time(job.status.get("nextLaunchTime"))
    if not_before is not None and now < not_before:
        return Decision(again_in=(not_before - now).total_seconds())
    if not seen.has_slot:
        return Decision(ask=frozenset({Ask.SLOT}))
    if not seen.mirrored:
        return Decision(ask=frozenset({Ask.MIRROR}))
    return Decision(create=True, again_in=SLOW_START_SECONDS)


def queued(seen: Observed, now: datetime) -> Mapping[str, Any] | None:
    """Return the patch of a job that asked for a worker slot and got none."""
    return status.waiting(seen.job, "WaitingForWorker", "all workers are busy", now)


def _refuse(seen: Observed, now: datetime) -> Decision | None:
    """End a job that will never run: as the original would have, before any Pod."""
    job = seen.job
    known_id = {"jobId": j} if (j := getattr(seen.factfile, "job_id", "")) else {}
    if isinstance(seen.host, NoNode):
        message = (
            f'Warn: the specifed host constraint "{job.host_constraint}" did not match,'
            f" no tasks have been executed. Reason: {seen.host.reason}"
        )
        reason = "HostConstraintNotMatched"
        patch = status.finished(job, succeeded=True, reason=reason, message=message, now=now)
        return Decision(
            patch=patch | known_id, notice=Notice(type="Warning", reason=reason, message=message)
        )
    refused: tuple[str, str] | None = None
    unserved = _unserved(job)
    if isinstance(seen.factfile, Refused):
        refused = (seen.factfile.reason, seen.factfile.message)
    elif unserved:
        refused = ("NotSupported", unserved)
    elif isinstance(seen.host, SeveralNodes):
        refused = (
            "HostConstraintAmbiguous",
            f'the host constraint "{job.host_constraint}" means several Nodes'
            f" ({', '.join(seen.host.names)}): name one of them",
        )
    elif seen.refusal is not None and seen.refusal.permanent:
        refused = (seen.refusal.reason, seen.refusal.message)
    if refused is None:
        return None
    return _done(
        status.finished(
            job,
            succeeded=False,
            reason=refused[0],
            message=refused[1],
            now=now,
            accepted=not isinstance(seen.factfile, Refused),
        )
        | known_id
    )


def _unserved(job: FactotumJob) -> str:
    """Name what the job asks for and this version does not do yet.

    To run it all the same would be to do something else than was asked.
    """
    spec = job.spec
    asked = {
        "spec.desiredState": spec.get("desiredState", "Run") != "Run",
        "spec.duplicatePolicy": spec.get("duplicatePolicy", "Queue") != "Queue",
        "spec.retry.limit": bool((spec.get("retry") or {}).get("limit")),
        "spec.ttlSecondsAfterFinished": spec.get("ttlSecondsAfterFinished") is not None,
        "spec.image": bool(spec.get("image")),
        "spec.podTemplate": bool(spec.get("podTemplate")),
    }
    fields = [name for name, is_asked in asked.items() if is_asked]
    if not fields:
        return ""
    return f"this version of the operator does not serve {', '.join(fields)} yet: leave it out"


def _hold_back(seen: Observed) -> Unreadable | None:
    """Return why a job must wait for something outside, if it must."""
    if isinstance(seen.factfile, Unreadable):
        return seen.factfile
    if isinstance(seen.host, HostUnknown):
        return Unreadable(reason="HostConstraintUnresolved", message=seen.host.message)
    if isinstance(seen.host, OnNode) and seen.host.unready:
        return Unreadable(
            reason="NodeNotReady", message=f"Node {seen.host.name}: {seen.host.unready}"
        )
    if seen.refusal is not None:
        return Unreadable(reason=seen.refusal.reason, message=seen.refusal.message)
    return None


def _done(patch: Mapping[str, Any], *, reported: int = 0) -> Decision:
    succeeded = patch["outcome"] == "SUCCEEDED"
    notice = Notice(
        type="Normal" if succeeded else "Warning",
        reason=patch["reason"],
        message=patch["message"],
    )
    return Decision(patch=patch, reported=reported, notice=notice)


__all__ = ["NOTHING", "AnyNode", "Decision", "Notice", "decide", "queued"]
