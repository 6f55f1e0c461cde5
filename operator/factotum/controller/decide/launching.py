"""What to do about an unclaimed job: get a Pod to run it, or say why not.

Pure; one half of ``table``.
"""

from datetime import datetime
from typing import Final

from factotum.controller.decide import attempts, orders, status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, done
from factotum.controller.decide.outcomes import cause_of
from factotum.controller.decide.unclaimed import queueing
from factotum.controller.decide.unclaimed.starting import (
    SLOW_START_SECONDS,
    being_made,
    next_launch,
    relaunch_notice,
    starting,
)
from factotum.controller.decide.unclaimed.telling import RETELL_SECONDS, wait
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

_NEVER_RAN: Final = frozenset({"StartError", "ContainerCannotRun"})
MAX_LAUNCHES: Final = 6
"""Pods of one attempt that may end unclaimed before the job fails."""


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
    later = next((p for p in running if (p.attempt, p.launch) > this), None)
    if later is not None:
        # This version of the job is old: its newer one may be that Pod's claim.
        return _posing(seen, later, now)
    first = orders.before_claim(seen, current, now) or attempts.end_earlier(job, ending, now)
    if first is not None:
        return first
    alive = next((p for p in current if p in running), None)
    if alive is not None:
        # Nothing will ever run: its claim found the content changed, or another operator made it.
        is_over = isinstance(seen.factfile, Refused) or bool(seen.unfit)
        stop = _refuse(seen, now) if is_over or queueing.duplicate_of(seen) else None
        return stop or queueing.behind(seen, now) or starting(seen, alive, now)
    if current:
        return unstarted_end(job, current[-1], now)
    if seen.name_taken:
        why = "the name of its Pod is taken by one that is not ours"
        return _another_launch(job, why, why, now)
    if seen.creating_seconds is not None:
        return being_made(seen, seen.creating_seconds, now)
    return _prepare(seen, now)


def _posing(seen: Observed, pod: PodView, now: datetime) -> Decision:
    """Wait for the version of the job that knows of a Pod; or say that nobody of us made it."""
    if seen.waited_seconds < SLOW_START_SECONDS:
        return Decision(again_in=RETRY_SECONDS)
    message = f"Pod {pod.name} says that it is of a later launch: if that goes on, delete it"
    return wait(seen, Reason.POD_PENDING, message, now)


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
    ended = job.launch - job.launches_given_up
    if ended >= MAX_LAUNCHES:
        message = f"{ended} Pods ended before a task was started; the last: {in_short}"
        return done(
            status.finished(
                job, succeeded=False, reason=Reason.LAUNCH_FAILED, message=message, now=now
            )
        )
    return Decision(patch=next_launch(job, why, now), notice=relaunch_notice(why))


def _why(pod: PodView) -> str:
    if pod.terminated is not None:
        ended = pod.terminated
        short = f"{ended.reason or 'ended'}, exit code {ended.exit_code}"
        if ended.reason not in _NEVER_RAN:
            return short
        # The kubelet's words; after a start they are the runner's, and no sentence.
        return f"{short}: {ended.message}".rstrip(": ")
    cause = cause_of(pod)
    if pod.deleting:
        return "it was deleted" if cause is None else f"{cause[0]}: {cause[1]}"
    return f"{pod.reason} {pod.message}".strip() or pod.phase


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
    held_back = _hold_back(seen)
    if held_back is not None:
        return _held_back(seen, held_back, now)
    if job.spec.get("dryRun") and isinstance(seen.factfile, Plan):
        return done(status.simulated(job, seen.factfile, now))
    not_before = parse_time(job.status.get("nextLaunchTime"))
    if not_before is not None and now < not_before:
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
    known_id = status.identity(seen.factfile)
    if isinstance(seen.host, NoNode):
        message = sentences.host_not_matched(job.host_constraint, seen.host.reason)
        reason = Reason.HOST_CONSTRAINT_NOT_MATCHED
        patch = status.finished(job, succeeded=True, reason=reason, message=message, now=now)
        return done(patch | known_id)
    refused: tuple[str, str] | None = None
    if isinstance(seen.factfile, Refused):
        refused = (seen.factfile.reason, seen.factfile.message)
    elif seen.unfit:
        refused = (Reason.INVALID_POD_TEMPLATE, seen.unfit)
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


def _held_back(seen: Observed, why: Unreadable, now: datetime) -> Decision:
    """Tell for what a job waits; what may be a hiccup only if it lasts."""
    is_doubtful = why.reason in (Reason.POD_NOT_CREATED, Reason.FACTFILE_UNREADABLE)
    if is_doubtful and seen.waited_seconds < SLOW_START_SECONDS:
        return Decision(again_in=min(1.0, SLOW_START_SECONDS - seen.waited_seconds))
    # A resolver that is in trouble says now this, now that.
    flickers = is_doubtful or why.reason == Reason.HOST_CONSTRAINT_UNRESOLVED
    retell = 0.0 if seen.refusal is None and not flickers else RETELL_SECONDS
    return wait(seen, why.reason, why.message, now, retell=retell)


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
    if seen.refusal is not None and not seen.job.spec.get("dryRun"):
        return Unreadable(reason=seen.refusal.reason, message=seen.refusal.message)
    return queueing.held_elsewhere(seen)
