"""What a job says and does that may not run yet: others are before it, or have its job id.

Pure. Who may run is given out by ``queue``; here it is only told, and a job
that does not wait for others of its job id (``duplicatePolicy: Reject``) ends.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from factotum.controller.decide import status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision
from factotum.controller.decide.unclaimed.telling import RETELL_SECONDS
from factotum.controller.facts.observed import Observed, Rival, Unreadable, Waits
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from factotum.kube.resource import Duplicates

_IN_LINE: Final = (Reason.WAITING_FOR_WORKER, Reason.QUEUE_FULL)


def duplicate_of(seen: Observed) -> str:
    """Say whose duplicate a job is that does not wait; empty: nobody's, or it waits.

    One that is done and whose Pod only ends is waited for all the same: whoever
    has seen it done may make the next.
    """
    if seen.job.duplicate_policy != Duplicates.REJECT:
        return ""
    if seen.elsewhere:
        return _elsewhere(seen)
    rival = seen.place.rival if isinstance(seen.place, Waits) else None
    return "" if rival is None or rival.is_over else _of(rival)


def held_elsewhere(seen: Observed) -> Unreadable | None:
    """Return why a job must wait that somebody else has by its Consul entry."""
    if not seen.elsewhere or seen.job.duplicate_policy == Duplicates.ALLOW:
        return None
    message = f"{_elsewhere(seen)}: if that is no more, delete the key, or allow duplicates"
    return Unreadable(reason=Reason.WAITING_FOR_JOB_ID, message=message)


def behind(seen: Observed, now: datetime) -> Decision | None:
    """Decide about a job with a Pod, whose job id another has: an earlier operator made both."""
    if not isinstance(seen.place, Waits) or seen.place.rival is None:
        return None
    return replace(in_line(seen, seen.place, now), again_in=RETRY_SECONDS)


def in_line(seen: Observed, place: Waits, now: datetime) -> Decision:
    """Tell a job that it waits, once, and the first ones where they are, now and then.

    Whoever frees what it waits for wakes it.
    """
    job = seen.job
    reason, message = _why(place, job.namespace)
    patch = status.waiting(job, reason, message, now)
    if patch is None:
        return Decision(in_line=True)
    is_told = job.state == JobState.QUEUED and job.is_observed
    same = job.reason == reason or {job.reason, reason} <= set(_IN_LINE)
    if is_told and same and place.position is None:
        # Every place that gets free moves all who wait: that cannot be told to all.
        return Decision(in_line=True)
    if is_told and job.reason in (*_IN_LINE, Reason.WAITING_FOR_JOB_ID):
        left = RETELL_SECONDS - seen.told_seconds
        if left > 0:
            return Decision(again_in=left, in_line=True)
    return Decision(patch=patch | status.identity(seen.factfile), in_line=True)


def _why(place: Waits, namespace: str) -> tuple[str, str]:
    if place.rival is not None:
        return Reason.WAITING_FOR_JOB_ID, _of(place.rival)
    if place.is_beyond:
        return Reason.QUEUE_FULL, "as many jobs wait as may (--max-jobs); this one follows them"
    position = "" if place.position is None else f"; position {place.position} in the queue"
    return Reason.WAITING_FOR_WORKER, busy(place, namespace) + position


def busy(place: Waits, namespace: str) -> str:
    """Say which workers all have a job."""
    whose = f"all workers of namespace {namespace}" if place.namespace_is_full else "all workers"
    return f"{whose} are busy"


def _of(rival: Rival) -> str:
    state = "has not ended" if rival.has_id else "waits before this one"
    return f"{rival.who} has the same job id and {state}"


def _elsewhere(seen: Observed) -> str:
    return f"{seen.elsewhere!r} has this job id queued or running, by its entry in Consul"
