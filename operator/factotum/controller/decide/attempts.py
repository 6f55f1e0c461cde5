"""Another attempt: after a failure that is to be tried again, when asked for, after a suspension.

Pure. One patch begins it: QUEUED, the next number, no claim, and the results
that it keeps. A Pod is made only after that. The status remembers the attempts
before it, the newest few of them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from factotum.controller.decide import status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, done, told
from factotum.controller.decide.status import Patch
from factotum.controller.facts.observed import Ask, Observed
from factotum.controller.facts.pods import PodView
from factotum.core.words import reasons
from factotum.core.words.reasons import Reason
from factotum.core.words.states import RunState
from factotum.kube.resource import Desired, FactotumJob, format_time, parse_time

MAX_RECORDS: Final = 10
"""How many earlier attempts the status remembers."""
MAX_BACKOFF_SECONDS: Final = 86400
"""The longest time between two attempts, as the longest that a job may ask for at first."""
LINGER_SECONDS: Final = 60.0
"""How long the Pod of an attempt whose end was told may go on sending events."""
_DEFAULT_BACKOFF_SECONDS: Final = 10


def ended(job: FactotumJob, patch: Patch, now: datetime) -> Decision:
    """End a job's attempt: for good, or for the next one.

    Args:
        patch: says how it ended, as if for good; DONE is never written in between.
    """
    if not _is_tried_again(job, patch):
        return done(patch)
    retry = job.spec.get("retry") or {}
    number = job.retries + 1
    seconds = _backoff_seconds(retry.get("backoffSeconds"), job.retries)
    not_before = now + timedelta(seconds=seconds)
    message = (
        f"attempt {job.attempt + 1} (retry {number} of {retry['limit']}) starts at"
        f" {format_time(not_before)}; attempt {job.attempt} failed, {patch['reason']}:"
        f" {patch['message']}"
    )
    again = following(
        job,
        patch,
        reason=Reason.RETRYING,
        message=message,
        not_before=not_before,
        keeps=retry.get("mode") != "Restart",
        now=now,
    )
    return told(again | {"retries": number})


def _is_tried_again(job: FactotumJob, patch: Patch) -> bool:
    limit = (job.spec.get("retry") or {}).get("limit") or 0
    return (
        patch["outcome"] == RunState.FAILED
        and reasons.is_retried(patch["reason"])
        and job.retries < limit
        and job.desired != Desired.CANCEL
        and not job.deleting
    )


def _backoff_seconds(first: object, retries: int) -> int:
    """Return how long to wait: twice as long each time."""
    seconds = first if isinstance(first, int) else _DEFAULT_BACKOFF_SECONDS
    # So many doublings exceed the most that there is, whatever the first time was.
    return min(MAX_BACKOFF_SECONDS, seconds << min(retries, 20))


def following(
    job: FactotumJob,
    last: Mapping[str, Any],
    *,
    reason: str,
    message: str,
    not_before: datetime,
    now: datetime,
    keeps: bool = True,
) -> Patch:
    """Return the patch that begins the attempt after a job's present one.

    Args:
        last: how the present one ended, over what the status says.
        keeps: whether tasks that ended well keep their result.
    """
    return (
        status.step(job, reason, message, now)
        | status.kept_fields({**job.status, **last}, keeps=keeps)
        | status.released(job)
        | {
            "attempt": job.attempt + 1,
            "launch": 1,
            "launchesGivenUp": None,
            "nextLaunchTime": format_time(not_before),
            "completionTime": None,
            "attempts": recorded(job, last, now),
        }
    )


def recorded(job: FactotumJob, last: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Return the attempts that the status remembers, once the present one is over."""
    before = [dict(entry) for entry in job.status.get("attempts") or ()]
    if was_recorded(job):
        return before
    claim = job.claim
    entry = {
        "attempt": job.attempt,
        "podName": claim.pod_name if claim else None,
        "nodeName": claim.node_name if claim else None,
        "startTime": job.status.get("startTime"),
        "completionTime": last.get("completionTime") or format_time(now),
        "reason": last.get("reason"),
    }
    kept = {name: value for name, value in entry.items() if value}
    return [*before, kept][-MAX_RECORDS:]


def was_recorded(job: FactotumJob) -> bool:
    """Whether a job's present attempt is over and remembered, and no other one has begun."""
    before = list(job.status.get("attempts") or ())
    return bool(before) and before[-1].get("attempt") == job.attempt


def has_run(job: FactotumJob, pod: PodView) -> bool:
    """Whether a Pod ran one of the attempts that are over."""
    before = job.status.get("attempts") or ()
    return any(entry.get("podName") == pod.name for entry in before)


def is_wanted(job: FactotumJob) -> bool:
    """Whether a job that has failed is to be tried once more, because somebody says so."""
    if not job.is_done or job.status.get("outcome") != RunState.FAILED:
        return False
    is_new = bool(job.resume) and job.resume != job.status.get("resumeSeen", "")
    # Who takes a Cancel back wants the job to run, too.
    is_asked = is_new or job.reason == Reason.CANCELLED
    return is_asked and job.desired == Desired.RUN and not job.deleting


def resume(seen: Observed, now: datetime) -> Decision | None:
    """Begin another attempt of a job that is done, if it is wanted."""
    job = seen.job
    if not is_wanted(job):
        return None
    if seen.results is None:
        return Decision(ask=frozenset({Ask.RESULTS}))
    # What is kept of jobs that are done has no room for it.
    whole = job.with_status(seen.results)
    patch = following(
        whole,
        whole.status,
        reason=Reason.RESUMED,
        message=f"resumed: attempt {job.attempt + 1} begins",
        not_before=now,
        now=now,
    )
    return told(patch | {"retries": None} | status.resume_seen(job))


def end_earlier(job: FactotumJob, pods: tuple[PodView, ...], now: datetime) -> Decision | None:
    """Wait for the Pods of earlier attempts, whose runners may still send events.

    Their tasks have ended, and nothing of what they say counts any more; one
    that does not come to its end does not keep the next attempt for ever.
    """
    if not pods:
        return None
    since = parse_time(job.status.get("nextLaunchTime"))
    if since is not None and now < since + timedelta(seconds=LINGER_SECONDS):
        return Decision(again_in=RETRY_SECONDS)
    return Decision(delete=pods, again_in=RETRY_SECONDS)
