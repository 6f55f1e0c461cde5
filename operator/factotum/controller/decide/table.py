"""What to do about one job: the table the whole controller turns on.

``decide`` is pure. Any event only says "look again", so deciding twice about
the same facts gives the same, and a decision carried out leaves nothing to do.
``launching`` and ``watching`` hold the two halves of the table.
"""

from datetime import datetime

from factotum.controller.decide.decision import NOTHING, RETRY_SECONDS, Decision, Notice
from factotum.controller.decide.launching import launch, queued
from factotum.controller.decide.running import watch
from factotum.controller.facts.observed import Observed


def decide(seen: Observed, now: datetime) -> Decision:
    """Return what to do about a job, given every fact about it."""
    job = seen.job
    if job.deleting:
        return NOTHING
    if job.is_done:
        return _tidy(seen)
    claim = job.claim
    if claim is not None:
        return watch(seen, claim, now)
    return launch(seen, now)


def _tidy(seen: Observed) -> Decision:
    claim = seen.job.claim
    mine = claim.pod_uid if claim else ""
    stray = tuple(p for p in seen.pods if not p.ended and not p.deleting and p.uid != mine)
    return Decision(delete=stray, again_in=RETRY_SECONDS) if stray else NOTHING


__all__ = ["Decision", "Notice", "decide", "queued"]
