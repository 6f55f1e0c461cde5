"""Who may have an attempt, and whose reports count: by one version of a job. Pure."""

import hmac
from dataclasses import dataclass
from typing import Any

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
    if not pod.belongs_to(job):
        return Denied(status=410, message="the Pod is not this job's")
    if job.deleting:
        return Denied(status=410, message="the job is being deleted")
    if job.is_done:
        return Denied(status=410, message="the job is done")
    claim = job.claim
    if claim is not None and hmac.compare_digest(claim.id, request.claim_id):
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


def judge_report(
    job: FactotumJob, attempt: int, report: Report, identity: PodIdentity
) -> Denied | None:
    """Judge a report by one version of the job."""
    claim = job.claim
    if claim is None or job.namespace != identity.namespace or claim.pod_uid != identity.pod_uid:
        return Denied(status=410, message="the attempt is another Pod's")
    if job.attempt != attempt or not hmac.compare_digest(claim.id, report.claim_id):
        return Denied(status=410, message="the attempt is not this runner's")
    if job.is_done and not (report.final and report.sequence <= job.sequence):
        return Denied(status=410, message="the job is done")
    return None
