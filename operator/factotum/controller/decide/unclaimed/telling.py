"""How often a waiting job's status and Events may tell for what it waits. Pure.

A reason is told at once the first time. After that the status is written at
most once a minute: causes come in turns, and every kubelet, quota and webhook
has numbers in its words. An Event tells of trouble, once for each reason.
"""

from datetime import datetime
from typing import Final

from factotum.controller.decide import status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, Notice
from factotum.controller.facts.observed import Observed
from factotum.core.words import reasons
from factotum.core.words.states import RunState

RETELL_SECONDS: Final = 60.0
"""How often what was told before may be told again."""


def wait(
    seen: Observed,
    reason: str,
    message: str,
    now: datetime,
    *,
    retell: float = RETELL_SECONDS,
) -> Decision:
    """Tell why a job waits.

    Args:
        retell: seconds before the words may change that go with one reason; less only where
            they change by what somebody does.
    """
    job = seen.job
    patch = status.waiting(job, reason, message, now)
    if patch is None:
        return Decision(again_in=RETRY_SECONDS)
    is_new = reason not in (job.reason, *seen.told_reasons)
    pause = 0.0 if is_new else retell if reason == job.reason else RETELL_SECONDS
    if seen.told_seconds < pause and job.is_observed:
        return Decision(again_in=min(RETRY_SECONDS, pause - seen.told_seconds))
    patch |= status.identity(seen.factfile)
    kind = reasons.notice_of(reason, RunState.WAITING)
    notice = Notice(type=kind, reason=reason, message=message) if kind and is_new else None
    return Decision(patch=patch, notice=notice, again_in=RETRY_SECONDS)
