"""When a finished job goes by itself, or its Pods do. Pure.

A job goes when its ``ttlSecondsAfterFinished`` are over or when its namespace
has as many newer ones as are to be kept. Never while its runner may still be
at work on the rest of its events: the Pod goes with the job.
"""

from datetime import datetime

from factotum.controller.decide.decision import NOTHING, Decision
from factotum.controller.facts.observed import Observed
from factotum.kube.resource import FactotumJob, parse_time


def clean_up(seen: Observed, now: datetime) -> Decision:
    """Decide about a job that is done and of which nothing else is to be said."""
    job = seen.job
    claim = job.claim
    is_ending = claim is not None and any(
        pod.uid == claim.pod_uid and not pod.ended for pod in seen.pods
    )
    if job.deleting or is_ending:
        return NOTHING
    left = seconds_left(job, now)
    if seen.is_surplus or (left is not None and left <= 0):
        return Decision(remove=True)
    pods = tuple(p for p in seen.pods if p.ended and not p.deleting and p.belongs_to(job))
    if seen.has_surplus_pods and pods:
        return Decision(delete=pods, again_in=left)
    return NOTHING if left is None else Decision(again_in=left)


def seconds_left(job: FactotumJob, now: datetime) -> float | None:
    """Return for how long a job is still to be kept; None: as long as nobody deletes it."""
    ttl = job.spec.get("ttlSecondsAfterFinished")
    completed = parse_time(job.status.get("completionTime"))
    if not job.is_done or not isinstance(ttl, int) or completed is None:
        return None
    return ttl - (now - completed).total_seconds()
