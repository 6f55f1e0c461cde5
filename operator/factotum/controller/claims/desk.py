"""Claims and reports: what a runner may do, and what it is told.

A claim makes an attempt the runner's own, by one status patch under the
resource version, before its first task starts. A refusal is final for the
runner, so it is only given after a live read; whatever is not known is
``Later``, and the runner asks again.
"""

import asyncio
import hmac
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.decide import status
from factotum.controller.facts.observed import Plan, PodView, Unreadable
from factotum.controller.observe import factfile as factfiles
from factotum.controller.reconcile.reconciler import Reconciler
from factotum.core.wire.reports import Report
from factotum.kube import errors, names
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

_MAX_TRIES: Final = 5


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
    """Judge a claim by one version of the job. Pure.

    Returns:
        None if the attempt is free for this Pod, ``Granted`` (its body empty)
        if this very process has it already, else the refusal.
    """
    if job.deleting:
        return Denied(status=410, message="the job is being deleted")
    claim = job.claim
    if claim is not None and hmac.compare_digest(claim.id, request.claim_id):
        if job.is_done:
            return Denied(status=410, message="the job is done")
        return Granted(body={})
    if job.is_done:
        return Denied(status=410, message="the job is done")
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
    """Judge a report by one version of the job. Pure."""
    claim = job.claim
    if claim is None or job.attempt != attempt or claim.id != report.claim_id:
        return Denied(status=410, message="the attempt is not this runner's")
    if claim.pod_uid != identity.pod_uid:
        return Denied(status=410, message="the attempt is another Pod's")
    if job.is_done and not (report.final and report.sequence <= job.sequence):
        return Denied(status=410, message="the job is done")
    return None


class Desk:
    """Takes claims and reports, under each job's lock."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._client = reconciler.client

    async def claim(self, request: ClaimRequest, identity: PodIdentity) -> Answer:
        """Decide a claim.

        Raises:
            KubeError: the API server did not say; the same as ``Later``.
        """
        pod = await self._pod(request, identity)
        if isinstance(pod, Denied):
            return pod
        raw, view = pod
        job = await self._job(request.uid, raw)
        if job is None:
            return Denied(status=410, message="there is no such job")
        async with self._reconciler.memory(request.uid).lock:
            live = False
            for _ in range(_MAX_TRIES):
                verdict = judge_claim(job, request, view)
                if isinstance(verdict, Denied):
                    if live:
                        return verdict
                    refreshed = await self._reconciler.refresh(job)
                    if refreshed is None:
                        return Denied(status=410, message="the job was deleted")
                    job, live = refreshed, True
                    continue
                answer = await self._grant(job, request, view, claimed=verdict is not None)
                if answer is not None:
                    return answer
                refreshed = await self._reconciler.refresh(job)
                if refreshed is None:
                    return Denied(status=410, message="the job was deleted")
                job, live = refreshed, True
        return Later(message="the job keeps changing")

    async def _pod(
        self, request: ClaimRequest, identity: PodIdentity
    ) -> tuple[dict[str, Any], PodView] | Denied:
        """Read the claiming Pod live: it must be this job's, and there."""
        gone = Denied(status=410, message="the Pod is gone or being deleted")
        try:
            raw = await self._client.get(names.pods_path(identity.namespace, identity.pod_name))
        except errors.NotFoundError:
            return gone
        view = PodView.from_raw(raw)
        if raw["metadata"]["uid"] != identity.pod_uid or view is None or view.deleting:
            return gone
        if view.job_uid != request.uid:
            return Denied(status=410, message="the Pod is not this job's")
        self._reconciler.store.put_pod(raw)
        return raw, view

    async def _owner(self, uid: JobUid, identity: PodIdentity) -> FactotumJob | Answer:
        """Read live the job of a Pod that reports on one that the caches do not hold.

        Without a clear answer its runner would ask until it is killed.
        """
        try:
            raw = await self._client.get(names.pods_path(identity.namespace, identity.pod_name))
        except errors.NotFoundError:
            return Later(message="neither the job nor the Pod is known")
        view = PodView.from_raw(raw)
        if raw["metadata"]["uid"] != identity.pod_uid or view is None or view.job_uid != uid:
            return Denied(status=410, message="the Pod is not this job's")
        job = await self._job(uid, raw)
        return job or Denied(status=410, message="the job was deleted")

    async def _job(self, uid: JobUid, pod: dict[str, Any]) -> FactotumJob | None:
        known = self._reconciler.store.jobs.get(uid)
        if known is not None:
            return known
        owner = next(o for o in pod["metadata"]["ownerReferences"] if o["uid"] == uid)
        path = names.job_path(pod["metadata"]["namespace"], owner["name"])
        try:
            raw = await self._client.get(path)
        except errors.NotFoundError:
            return None
        return self._reconciler.store.put_job(raw) if raw["metadata"]["uid"] == uid else None

    async def _grant(
        self, job: FactotumJob, request: ClaimRequest, pod: PodView, *, claimed: bool
    ) -> Answer | None:
        """Write the claim and answer it; None if the job changed meanwhile."""
        memory = self._reconciler.memory(job.uid)
        plan = await self._reconciler.read_factfile(job, memory)
        if isinstance(plan, Unreadable):
            return Later(message=plan.message)
        if isinstance(plan, Plan) and pod.factfile_hash != plan.digest:
            memory.factfile = plan = factfiles.changed(plan, pod.factfile_hash)
        if not isinstance(plan, Plan):
            # Its next look ends the job; this Pod will have nothing to do.
            self._reconciler.queue.add(job.uid)
            return Denied(status=410, message=plan.message)
        if claimed:
            return Granted(body=_work(job, plan))
        began = time.monotonic()
        patch = status.claimed(job, plan, pod, request.claim_id, datetime.now(UTC))
        try:
            raw = await self._client.patch_status(
                job.namespace, job.name, patch, resource_version=job.resource_version
            )
        except (errors.ConflictError, errors.NotFoundError):
            return None
        memory.patched(time.monotonic() - began)
        self._reconciler.slots.hold(job.uid)
        return Granted(body=_work(self._reconciler.took(raw), plan))

    async def report(
        self, uid: JobUid, attempt: int, report: Report, identity: PodIdentity
    ) -> Answer:
        """Take a report; a final one is answered once it stands in the status.

        Raises:
            KubeError: the API server did not say; the same as ``Later``.
        """
        job = self._reconciler.store.jobs.get(uid)
        if job is None:
            found = await self._owner(uid, identity)
            if not isinstance(found, FactotumJob):
                return found
            job = found
        verdict = judge_report(job, attempt, report, identity)
        if verdict is not None:
            refreshed = await self._reconciler.refresh(job)
            if refreshed is None:
                return Denied(status=410, message="the job was deleted")
            job = refreshed
            verdict = judge_report(job, attempt, report, identity)
            if verdict is not None:
                return verdict
        if job.is_done:
            return Granted(body={"order": None})
        total = str(job.status.get("progress", "")).rpartition("/")[2]
        if total != str(len(report.states)):
            return Denied(status=400, message=f"the job has {total} tasks")
        memory = self._reconciler.memory(uid)
        if (
            memory.report is None
            or memory.report.claim_id != report.claim_id
            or memory.report.sequence < report.sequence
        ):
            memory.report = report
        if report.final:
            return await self._deliver(uid)
        self._reconciler.queue.add(uid)
        gone = job.deleting or job.status.get("reason") == "PodGone"
        return Granted(body={"order": "stop" if gone else None})

    async def _deliver(self, uid: JobUid) -> Answer:
        """Bring a final report into the status before it is answered."""
        for _ in range(_MAX_TRIES):
            await self._reconciler.look(uid)
            job = self._reconciler.store.jobs.get(uid)
            if job is None:
                return Denied(status=410, message="the job was deleted")
            if job.is_done:
                return Granted(body={"order": None})
            await asyncio.sleep(0.05)
        return Later(message="the verdict is not written yet")


def _work(job: FactotumJob, plan: Plan) -> dict[str, Any]:
    """Return what the runner needs to run the job."""
    webhook = {
        key: value
        for key, value in (job.spec.get("webhook") or {}).items()
        if key in ("url", "maxStdouterrSize", "heartbeatIntervalSeconds")
    }
    return {
        "factfile": plan.text,
        "factfileHash": plan.digest,
        "jobName": job.name,
        "env": job.env,
        "tags": job.tags,
        "start": job.spec.get("start"),
        "scheduling": job.spec.get("scheduling", "Levels"),
        "webhook": webhook if job.spec.get("webhook") else None,
        "keep": [],
    }
