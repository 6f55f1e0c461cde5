"""``desiredState``: Suspend and Cancel, and Run once more.

Pure. A runner gets the order with the answer to its next report, as soon as
the status says that it is being obeyed; one that does not obey loses its Pod.
What the order is about is written only once that Pod runs nothing any more.
A run that came to its own end first has its own verdict.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from factotum.controller.decide import attempts, status
from factotum.controller.decide.decision import NOTHING, RETRY_SECONDS, Decision, done, told
from factotum.controller.decide.status import Patch
from factotum.controller.facts.observed import Observed
from factotum.controller.facts.pods import PodView
from factotum.core.wire.reports import Report
from factotum.core.words.reasons import Reason
from factotum.kube.resource import Desired, FactotumJob, format_time

OBEY_SECONDS: Final = 30.0
"""How long a runner may take to obey before its Pod is deleted."""


def is_ordered(job: FactotumJob) -> bool:
    """Whether a claimed job's run is to stop, or was told to and may have heard it."""
    return not job.deleting and (job.order is not None or job.desired != Desired.RUN)


def is_whole(report: Report) -> bool:
    """Whether a final report is of a run that came to its own end: that wins over any order."""
    return not report.interrupted and not set(report.states) & set("WR")


# --- before the claim -----------------------------------------------------------------


def before_claim(seen: Observed, current: list[PodView], now: datetime) -> Decision | None:
    """Decide about a job that nobody has claimed, and its launch's Pods; None: let it run."""
    job = seen.job
    if job.desired == Desired.RUN:
        return _run_again(job, now) if job.reason == Reason.SUSPENDED else None
    job_id = status.identity(seen.factfile)
    if job.desired == Desired.CANCEL:
        # No claim is granted any more, and whoever looks next deletes the Pod.
        return done(_cancelled(job, now) | job_id)
    if job.reason == Reason.SUSPENDED and job.is_observed and not current:
        return NOTHING
    patch = _suspended(job, now) | job_id
    if current:
        # From now on the Pod's claim is refused, whatever is desired next.
        patch |= {"launch": job.launch + 1}
    alive = tuple(p for p in current if not p.ended and not p.deleting)
    if job.reason == Reason.SUSPENDED:
        return Decision(patch=patch, delete=alive)
    return told(patch, delete=alive)


def _run_again(job: FactotumJob, now: datetime) -> Decision:
    """Take a suspended job up again."""
    if attempts.was_recorded(job) or job.launch > 1:
        # Pods that were made and given up count for the attempt that they were made for.
        return _next_attempt(job, job.status, now)
    return told(status.step(job, Reason.RESUMED, "taken up again", now))


def _next_attempt(job: FactotumJob, last: Mapping[str, Any], now: datetime) -> Decision:
    message = f"taken up again: attempt {job.attempt + 1} begins"
    return told(
        attempts.following(
            job, last, reason=Reason.RESUMED, message=message, not_before=now, now=now
        )
    )


# --- while it runs --------------------------------------------------------------------


def pursue(seen: Observed, pod: PodView, now: datetime) -> Decision | None:
    """Have a run stopped that is under way; None: there is nothing to do for it now."""
    job = seen.job
    if not is_ordered(job):
        return None
    patch = _ordered(job, now)
    if patch is not None:
        return Decision(patch=patch, again_in=OBEY_SECONDS)
    if seconds_left(job, now) > 0 or pod.deleting:
        return None
    # Never a Pod that only the status calls the job's: others may write that.
    return Decision(delete=(pod,), again_in=RETRY_SECONDS) if pod.belongs_to(job) else None


def seconds_left(job: FactotumJob, now: datetime) -> float:
    """Return how long a runner may still take to obey."""
    if job.order is None:
        return OBEY_SECONDS
    return (job.order.since + timedelta(seconds=OBEY_SECONDS) - now).total_seconds()


def _ordered(job: FactotumJob, now: datetime) -> Patch | None:
    """Return what the status is to say while a run is being stopped, unless it does."""
    given = job.order.desired if job.order is not None else job.desired
    wanted = given if job.desired == Desired.RUN else job.desired
    reason = Reason.CANCELLING if wanted == Desired.CANCEL else Reason.SUSPENDING
    message = f"{wanted}: the running tasks are told to end"
    if job.desired == Desired.RUN:
        message += "; then the job is taken up again"
    if (job.reason, job.message) == (reason, message) and job.is_observed and job.order is not None:
        return None
    since = job.order.since if job.order is not None else now
    return status.step(job, reason, message, now) | {
        "order": {"desiredState": wanted, "time": format_time(since)}
    }


# --- once nothing runs any more -------------------------------------------------------


def obeyed(job: FactotumJob, tasks: Patch, now: datetime, *, loss: str = "") -> Decision:
    """Decide about a run that was stopped, now that its Pod has ended.

    Args:
        tasks: status fields that tell how far it got.
        loss: why nobody knows what it came to, if so: tasks that WAIT may have been started.
    """
    if job.desired == Desired.CANCEL:
        return done(tasks | _cancelled(job, now, loss))
    suspended = _suspended(job, now, loss)
    if job.desired == Desired.RUN:
        return _next_attempt(job, tasks | {"reason": suspended["reason"]}, now)
    return told(
        tasks
        | suspended
        | status.released(job)
        | {"attempts": attempts.recorded(job, suspended, now)}
    )


def unstarted(job: FactotumJob, now: datetime) -> Decision:
    """Decide about a claim under an order whose runner started nothing."""
    if job.desired == Desired.CANCEL:
        return done(_cancelled(job, now))
    if job.desired == Desired.SUSPEND:
        return told(_suspended(job, now) | status.released(job))
    return told(status.step(job, Reason.RESUMED, "taken up again", now) | status.released(job))


def _suspended(job: FactotumJob, now: datetime, loss: str = "") -> Patch:
    message = f"{_how('suspended', loss)}: set spec.desiredState to Run to take it up"
    return status.step(job, Reason.SUSPENDED, message, now) | {"nextLaunchTime": None}


def _cancelled(job: FactotumJob, now: datetime, loss: str = "") -> Patch:
    message = f"{_how('cancelled', loss)}: set spec.desiredState to Run to take it up after all"
    return status.finished(job, succeeded=False, reason=Reason.CANCELLED, message=message, now=now)


def _how(word: str, loss: str) -> str:
    return f"{word}, but {loss}" if loss else word
