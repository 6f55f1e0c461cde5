"""Who may have an attempt, and whose reports count: by one version of a job, and a Pod. Pure.

The policy is ``core.wire.judging``'s; which Pods are a job's own is known here.
"""

from dataclasses import dataclass
from typing import Final

from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.facts.pods import PodView
from factotum.core.wire import judging
from factotum.core.wire.judging import Answer, Denied, Granted, Later, Standing
from factotum.core.wire.reports import Report
from factotum.kube.resource import FactotumJob, JobUid

__all__ = ["Answer", "Denied", "Granted", "Later"]

NOT_ITS_OWN: Final = Denied(status=410, message="the Pod is not this job's")
"""The answer to a Pod that asks for what is not its own: whether that exists is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """What a runner asks for."""

    uid: JobUid
    attempt: int
    launch: int
    claim_id: str


def judge_claim(job: FactotumJob, request: ClaimRequest, pod: PodView) -> Denied | Granted | None:
    """Judge a claim by one version of the job.

    Args:
        pod: as a live read showed it.

    Returns:
        None if the attempt is free for this Pod, ``Granted`` (its body empty)
        if this very process has it already, else the refusal.
    """
    if not pod.belongs_to(job) and not has_claimed(job, request, pod):
        return NOT_ITS_OWN
    wanted = request.attempt, request.launch
    verdict = judging.judge_claim(standing(job), wanted, request.claim_id, pod.uid, "Pod")
    if verdict is None and (pod.attempt, pod.launch) != wanted:
        return Denied(status=410, message="the Pod was made for another launch")
    return verdict


def standing(job: FactotumJob) -> Standing:
    """Return how a job stands, as far as claims and reports are concerned."""
    claim = job.claim
    return Standing(
        attempt=job.attempt,
        launch=job.launch,
        sequence=job.sequence,
        is_done=job.is_done,
        is_going=job.deleting,
        claim_id=claim.id if claim is not None else None,
        claimant=claim.pod_uid if claim is not None else "",
        claimant_name=claim.pod_name if claim is not None else "",
    )


def has_claimed(job: FactotumJob, request: ClaimRequest, pod: PodView) -> bool:
    """Whether it was this very process that was granted the claim, whose answer it did not get.

    Somebody may have taken label or owner off its Pod since: that takes no claim away.
    """
    claim = job.claim
    return (
        claim is not None
        and (pod.namespace, pod.uid) == (job.namespace, claim.pod_uid)
        and judging.is_same(claim.id, request.claim_id)
    )


def judge_report(
    job: FactotumJob, attempt: int, report: Report, identity: PodIdentity
) -> Denied | None:
    """Judge a report by one version of the job."""
    claim = job.claim
    if claim is None or job.namespace != identity.namespace or claim.pod_uid != identity.pod_uid:
        return NOT_ITS_OWN
    return judging.judge_report(standing(job), attempt, report)
