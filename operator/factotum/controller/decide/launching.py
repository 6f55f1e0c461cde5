"""What to do about an unclaimed job: get a Pod to run it, or say why not.

Pure; one half of ``table``.
"""

from datetime import datetime, timedelta
from typing import Final

from factotum.controller.decide import attempts, orders, queueing, status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, done
from factotum.controller.facts.observed import (
    Ask,
    HostUnknown,
    NoNode,
    Observed,
    OnNode,
    Plan,
    Refused,
    SeveralNodes,
    Unreadable,
    Waits,
)
from factotum.controller.facts.pods import PodView
from factotum.core.words import sentences
from factotum.core.words.reasons import Reason
from factotum.kube.resource import FactotumJob, parse_time

MAX_LAUNCHES: Final = 6
"""Pods of one attempt that may end unclaimed before the job fails."""
LAUNCH_BACKOFF_SECONDS: Final = (0, 5, 10, 20, 40)
SLOW_START_SECONDS: Final = 5.0
"""An unclaimed Pod that takes longer gets its reason told, and its worker slot back to others."""
RETELL_SECONDS: Final = 60.0
"""How often the words may change that go with one reason: kubelets alternate between some."""
_ONE_REASON: Final = {"ErrImagePull": Reason.IMAGE_PULL_BACK_OFF}
"""What Kubernetes says in turns, and which of the two is told."""


def launch(seen: Observed, now: datetime) -> Decision:
    """Decide about a job that nobody has claimed yet."""
    job = seen.job
    this = (job.attempt, job.launch)
    current = [p for p in seen.pods if (p.attempt, p.launch) == this]
    running = [p for p in seen.pods if not p.ended and not p.deleting]
    before = [p for p in running if (p.attempt, p.launch) < this]
    ending = tuple(p for p in before if attempts.has_run(job, p))
    given_up = tuple(p for p in before if p not in ending)
    if given_up:
        return Decision(delete=given_up, again_in=RETRY_SECONDS)
    if any((p.attempt, p.launch) > this for p in running):
        # This version of the job is old: its newer one may be that Pod's claim.
        return Decision(again_in=RETRY_SECONDS)
    first = orders.before_claim(seen, current, now) or attempts.end_earlier(job, ending, now)
    if first is not None:
        return first
    alive = next((p for p in current if p in running), None)
    if alive is not None:
        # Nothing will ever run: its claim found the content changed, or a field is not served.
        is_over = isinstance(seen.factfile, Refused) or bool(_unserved(job))
        stop = _refuse(seen, now) if is_over or queueing.duplicate_of(seen) else None
        return stop or queueing.behind(seen, now) or _starting(seen, alive, now)
    if current:
        return unstarted_end(job, current[-1], now)
    if seen.name_taken:
        why = "the name of its Pod is taken by one that is not ours"
        return _another_launch(job, why, why, now)
    return _prepare(seen, now)


def _starting(seen: Observed, pod: PodView, now: datetime) -> Decision:
    if seen.pending_seconds < SLOW_START_SECONDS:
        return Decision(again_in=SLOW_START_SECONDS)
    if not pod.waiting:
        return Decision(again_in=RETRY_SECONDS)
    reason, _, _ = pod.waiting.partition(":")
    reason = _ONE_REASON.get(reason, reason) or Reason.POD_PENDING
    message = f"Pod {pod.name} does not start: {pod.waiting}"
    return _wait(seen, reason, message, now, retell=RETELL_SECONDS)


def _wait(
    seen: Observed,
    reason: str,
    message: str,
    now: datetime,
    *,
    retell: float = 0.0,
) -> Decision:
    """Tell why a job waits.

    Args:
        retell: seconds before the words may change that go with one reason.
    """
    job = seen.job
    patch = status.waiting(job, reason, message, now)
    if patch is not None and job.reason == reason and seen.told_seconds < retell:
        return Decision(again_in=min(RETRY_SECONDS, retell - seen.told_seconds))
    if patch is not None and isinstance(seen.factfile, Plan):
        patch |= {"jobId": seen.factfile.job_id}
    return Decision(patch=patch, again_in=RETRY_SECONDS)


def unstarted_end(job: FactotumJob, pod: PodView, now: datetime) -> Decision:
    """Decide about a Pod that ended, or will, without having started a task."""
    if pod.reason == Reason.DEADLINE_EXCEEDED:
        message = f"Pod {pod.name} did not start before the deadline"
        return attempts.ended(
            job,
            status.finished(
                job, succeeded=False, reason=Reason.DEADLINE_EXCEEDED, message=message, now=now
            ),
            now,
        )
    why = f"Pod {pod.name} ended before a task was started: {_why(pod)}"
    return _another_launch(job, why, _why(pod), now)


def _another_launch(job: FactotumJob, why: str, in_short: str, now: datetime) -> Decision:
    """Give a launch up for the next one, or the job if it had all of them."""
    if job.launch >= MAX_LAUNCHES:
        message = f"{job.launch} Pods ended before a task was started; the last: {in_short}"
        return done(
            status.finished(
                job, succeeded=False, reason=Reason.LAUNCH_FAILED, message=message, now=now
            )
        )
    delay = LAUNCH_BACKOFF_SECONDS[min(job.launch - 1, len(LAUNCH_BACKOFF_SECONDS) - 1)]
    patch = status.relaunch(
        job,
        reason=Reason.RELAUNCHING,
        message=why,
        not_before=now + timedelta(seconds=delay),
        now=now,
    )
    return Decision(patch=patch)


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
        return _wait(
            seen,
            wait.reason,
            wait.message,
            now,
            retell=0.0 if seen.refusal is None else RETELL_SECONDS,
        )
    if job.spec.get("dryRun") and isinstance(seen.factfile, Plan):
        return done(status.simulated(job, seen.factfile, now) | {"jobId": seen.factfile.job_id})
    not_before = parse_time(job.status.get("nextLaunchTime"))
    if not_before is not None and now < not_before:
        if not job.is_observed and job.state:
            return Decision(patch=status.observed(job, now))
        return Decision(again_in=(not_before - now).total_seconds())
    if seen.place is None:
        return Decision(join=True)
    if isinstance(seen.place, Waits):
        return queueing.in_line(seen, seen.place, now)
    if not seen.mirrored and not seen.elsewhere:
        return Decision(announce=True)
    return Decision(create=True, again_in=SLOW_START_SECONDS)


def _refuse(seen: Observed, now: datetime) -> Decision | None:
    """End a job that will never run: as the original would have, before any Pod."""
    job = seen.job
    known_id = {"jobId": j} if (j := getattr(seen.factfile, "job_id", "")) else {}
    if isinstance(seen.host, NoNode):
        message = sentences.host_not_matched(job.host_constraint, seen.host.reason)
        reason = Reason.HOST_CONSTRAINT_NOT_MATCHED
        patch = status.finished(job, succeeded=True, reason=reason, message=message, now=now)
        return done(patch | known_id)
    refused: tuple[str, str] | None = None
    unserved = _unserved(job)
    if isinstance(seen.factfile, Refused):
        refused = (seen.factfile.reason, seen.factfile.message)
    elif unserved:
        refused = (Reason.NOT_SUPPORTED, unserved)
    elif isinstance(seen.host, SeveralNodes):
        refused = (
            Reason.HOST_CONSTRAINT_AMBIGUOUS,
            f'the host constraint "{job.host_constraint}" means several Nodes'
            f" ({', '.join(seen.host.names)}): name one of them",
        )
    elif seen.refusal is not None and seen.refusal.permanent:
        refused = (seen.refusal.reason, seen.refusal.message)
    elif rival := queueing.duplicate_of(seen):
        refused = (Reason.DUPLICATE, f"{rival}, and duplicatePolicy is Reject")
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
        return Unreadable(reason=Reason.HOST_CONSTRAINT_UNRESOLVED, message=seen.host.message)
    if isinstance(seen.host, OnNode) and seen.host.unready:
        return Unreadable(
            reason=Reason.NODE_NOT_READY, message=f"Node {seen.host.name}: {seen.host.unready}"
        )
    if seen.refusal is not None:
        return Unreadable(reason=seen.refusal.reason, message=seen.refusal.message)
    return queueing.held_elsewhere(seen)
