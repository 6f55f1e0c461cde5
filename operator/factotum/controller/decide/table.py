"""What to do about one job: the table the whole controller turns on.

``decide`` is pure. Any event only says "look again", so deciding twice about
the same facts gives the same, and a decision carried out leaves nothing to do.
``launching`` and ``running`` hold the two halves of the table.
"""

from dataclasses import replace
from datetime import datetime

from factotum.controller.decide import attempts, status
from factotum.controller.decide.cleanup import clean_up
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, done
from factotum.controller.decide.launching import launch
from factotum.controller.decide.running import watch
from factotum.controller.facts.observed import Observed
from factotum.core.words.reasons import Reason


def decide(seen: Observed, now: datetime) -> Decision:
    """Return what to do about a job, given every fact about it."""
    if seen.job.is_done:
        return _tidy(seen, now)
    return _observing(seen, _go_on(seen, now), now)


def _go_on(seen: Observed, now: datetime) -> Decision:
    """Decide about a job that is not done."""
    job = seen.job
    claim = job.claim
    if claim is not None:
        return watch(seen, claim, now)
    if job.deleting:
        # Somebody's finalizer keeps it: its end must not wait for that one.
        message = "the job was deleted before a task was started"
        return done(
            status.finished(job, succeeded=False, reason=Reason.DELETED, message=message, now=now)
        )
    return launch(seen, now)


def _observing(seen: Observed, decision: Decision, now: datetime) -> Decision:
    """Have a status that says all there is to say also say that the spec was looked at.

    Not while a question is open, or a Pod is made, of which more is told soon; and not of a job
    that goes: that is said by itself.
    """
    job = seen.job
    is_open = decision.ask or decision.join or decision.announce or decision.create
    if decision.patch is not None or is_open or job.is_observed or job.deleting or not job.state:
        return decision
    return replace(decision, patch=status.observed(job, now))


def _tidy(seen: Observed, now: datetime) -> Decision:
    """Leave a finished job as it should be: observed, no Pods but its claim's, and not for ever."""
    again = attempts.resume(seen, now)
    if again is not None:
        return again
    if not seen.job.is_observed and not seen.job.deleting:
        return Decision(patch=status.observed(seen.job, now))
    claim = seen.job.claim
    mine = claim.pod_uid if claim else ""
    stray = tuple(p for p in seen.pods if not p.ended and not p.deleting and p.uid != mine)
    if stray:
        return Decision(delete=stray, again_in=RETRY_SECONDS)
    return clean_up(seen, now)
