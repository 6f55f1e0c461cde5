"""Who may have an attempt, and whose reports count: by one version of a job. Pure."""

import hmac
from dataclasses import dataclass
from typing import Any, Final

from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.facts.pods import PodView
from factotum.core.wire.reports import Report
from factotum.kube.resource import FactotumJob, JobUid


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Yes, with what the runner needs."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No, and never: 409 (another runner has it) or 410 (it is over)."""

    status: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Not known now: ask again."""

    message: str


Answer = Granted | Denied | Later

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
    if job.deleting:
        return Denied(status=410, message="the job is being deleted")
    if job.is_done:
        return Denied(status=410, message="the job is done")
    claim = job.claim
    if claim is not None and _same(claim.id, request.claim_id):
        fits = claim.pod_uid == pod.uid
        return Granted(body={}) if fits else Denied(status=409, message="another Pod has it")
    if (job.attempt, job.launch) != (request.attempt, request.launch):
        return Denied(
            status=410,
            message=f"this is attempt {request.attempt}, launch {request.launch};"
            f" the job is at attempt {job.attempt}, launch {job.launch}",
        )
    if claim is not None:
        return Denied(status=409, message=f"claimed by a runner in Pod {claim.pod_name}")
    if (pod.attempt, pod.launch) != (request.attempt, request.launch):
        return Denied(status=410, message="the Pod was made for another launch")
    return None


def has_claimed(job: FactotumJob, request: ClaimRequest, pod: PodView) -> bool:
    """Whether it was this very process that was granted the claim, whose answer it did not get.

    Somebody may have taken label or owner off its Pod since: that takes no claim away.
    """
    claim = job.claim
    return (
        claim is not None
        and (pod.namespace, pod.uid) == (job.namespace, claim.pod_uid)
        and _same(claim.id, request.claim_id)
    )


def judge_report(
    job: FactotumJob, attempt: int, report: Report, identity: PodIdentity
) -> Denied | None:
    """Judge a report by one version of the job."""
    claim = job.claim
    if claim is None or job.namespace != identity.namespace or claim.pod_uid != identity.pod_uid:
        return NOT_ITS_OWN
    if job.attempt != attempt or not _same(claim.id, report.claim_id):
        return Denied(status=410, message="the attempt is not this runner's")
    if job.is_done and not (report.final and report.sequence <= job.sequence):
        return Denied(status=410, message="the job is done")
    return None


def _same(known: str, told: str) -> bool:
    """Compare two claim ids in constant time; as bytes, since either may hold any character."""
    return hmac.compare_digest(known.encode("utf-8", "replace"), told.encode("utf-8", "replace"))
