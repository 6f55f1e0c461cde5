"""What to do about an unclaimed job: get a Pod to run it, or say why not.

Pure; one half of ``decisions``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from factotum.controller.decide import status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, Notice, done
from factotum.controller.facts.observed import (
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
from factotum.kube.resource import FactotumJob, parse_time

MAX_LAUNCHES: Final = 6
"""Pods of one attempt that may end unclaimed before the job fails."""
LAUNCH_BACKOFF_SECONDS: Final = (0, 5, 10, 20, 40)
SLOW_START_SECONDS: Final = 5.0
"""An unclaimed Pod that takes longer gets its reason told."""


def launch(seen: Observed, now: datetime) -> Decision:
    """Decide about a job that nobody has claimed yet."""
    job = seen.job
    this = (job.attempt, job.launch)
    current = [p for p in seen.pods if (p.attempt, p.launch) == this]
    running = [p for p in seen.pods if not p.ended and not p.deleting]
    given_up = tuple(p for p in running if (p.attempt, p.launch) < this)
    if given_up:
        return Decision(delete=given_up, again_in=RETRY_SECONDS)
    if any((p.attempt, p.launch) > this for p in running):
        # This version of the job is old: its newer one may be that Pod's claim.
        return Decision(again_in=RETRY_SECONDS)
    alive = next((p for p in current if p in running), None)
    if alive is not None:
        # Its claim found the content changed: nothing will ever run, so it need not be waited for.
        stop = _refuse(seen, now) if isinstance(seen.factfile, Refused) else None
        return stop or _starting(seen, alive, now)
    if current:
        return unstarted_end(job, current[-1], now)
    return _prepare(seen, now)


def _starting(seen: Observed, pod: PodView, now: datetime) -> Decision:
    if seen.pending_seconds < SLOW_START_SECONDS:
        return Decision(again_in=SLOW_START_SECONDS)
    if not pod.waiting:
        return Decision(again_in=RETRY_SECONDS)
    reason = pod.waiting.split(":", 1)[0] or "PodPending"
    patch = status.waiting(seen.job, reason, f"Pod {pod.name} does not start: {pod.waiting}", now)
    return Decision(patch=patch, again_in=RETRY_SECONDS)


def unstarted_end(job: FactotumJob, pod: PodView, now: datetime) -> Decision:
    """Decide about a Pod that ended, or will, without having started a task."""
    if pod.reason == "DeadlineExceeded":
        message = f"Pod {pod.name} did not start before the deadline"
        return done(
            status.finished(
                job, succeeded=False, reason="DeadlineExceeded", message=message, now=now
            )
        )
    if job.launch >= MAX_LAUNCHES:
        message = f"{job.launch} Pods ended before a task was started; the last: "
        return done(
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
            ),
            again_in=RETRY_SECONDS,
        )
    if job.spec.get("dryRun") and isinstance(seen.factfile, Plan):
        return done(status.simulated(job, seen.factfile, now) | {"jobId": seen.factfile.job_id})
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
    return done(
        status.finished(
            job,
            succeeded=False,
            reason=refused[0],
            message=refused[1],
            now=now,
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
