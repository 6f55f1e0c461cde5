"""Claims and reports: what a runner may do, and what it is told.

A claim makes an attempt the runner's own, by one status patch under the
resource version, before its first task starts. A refusal is final for the
runner, so it is only given after a live read; whatever is not known is
``Later``, and the runner asks again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from factotum.controller.apply.writer import Writer
from factotum.controller.claims.judging import (
    NOT_ITS_OWN,
    Answer,
    ClaimRequest,
    Denied,
    Granted,
    Later,
    has_claimed,
    judge_claim,
    judge_report,
)
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.clock import Clock
from factotum.controller.decide import status
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import Plan, Unreadable
from factotum.controller.facts.pods import PodView
from factotum.controller.observe import factfile
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.live import Live
from factotum.controller.observe.memory import JobMemory
from factotum.controller.observe.observer import Observer
from factotum.controller.queue.admission import Waiting
from factotum.controller.queue.slots import Slots
from factotum.core.wire.orders import Order, work_order
from factotum.core.wire.reports import Report
from factotum.kube import errors
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

_MAX_TRIES: Final = 5


class Desk:
    """Takes claims and reports, under each job's lock.

    Args:
        bring_forward: has one look at a job.
        look_later: queues a look at a job.
        namespaces: those whose jobs are ours; empty: all.
    """

    def __init__(  # noqa: PLR0913 - what a claim concerns
        self,
        *,
        cache: Cache,
        live: Live,
        observer: Observer,
        writer: Writer,
        slots: Slots,
        ledger: Ledger,
        clock: Clock,
        bring_forward: Callable[[JobUid], Awaitable[None]],
        look_later: Callable[[JobUid], None],
        namespaces: Sequence[str] = (),
    ) -> None:
        self._cache = cache
        self._live = live
        self._observer = observer
        self._writer = writer
        self._slots = slots
        self._ledger = ledger
        self._clock = clock
        self._bring_forward = bring_forward
        self._look_later = look_later
        self._namespaces = frozenset(namespaces)

    # --- claims -----------------------------------------------------------------------

    async def claim(self, request: ClaimRequest, identity: PodIdentity) -> Answer:
        """Decide a claim.

        Raises:
            KubeError: the API server did not say; the same as ``Later``.
        """
        if not self._serves(identity.namespace):
            return NOT_ITS_OWN
        pod = await self._pod_of(request, identity)
        if pod is None or pod.deleting:
            return Denied(status=410, message="the Pod is gone or being deleted")
        job = await self._job_of(pod, request)
        if job is None:
            return NOT_ITS_OWN
        async with self._ledger.open(request.uid) as memory:
            memory.heard = pod.uid
            is_live = False
            for _ in range(_MAX_TRIES):
                verdict = judge_claim(job, request, pod)
                if not isinstance(verdict, Denied):
                    answer = await self._grant(job, request, pod, memory, verdict is not None)
                    if answer is not None:
                        return answer
                elif is_live:
                    return verdict
                refreshed = await self._live.refresh(job)
                if refreshed is None:
                    # Its memory was opened here, and a look throws it away.
                    self._look_later(request.uid)
                    return Denied(status=410, message="the job was deleted")
                job, is_live = refreshed, True
        return Later(message="the job keeps changing")

    async def _pod_of(self, request: ClaimRequest, identity: PodIdentity) -> PodView | None:
        """Return the Pod that asks: one that we made need not be read again to be granted."""
        made = self._cache.own_pod(identity.pod_uid)
        place = identity.namespace, identity.pod_name
        if made is not None and (made.namespace, made.name) == place:
            job = self._cache.jobs.get(made.job_uid)
            if job is not None and not made.deleting and judge_claim(job, request, made) is None:
                return made
        return await self._live.pod(*place, identity.pod_uid)

    def _serves(self, namespace: str) -> bool:
        """Whether jobs of a namespace are ours: one that is not must not get in by its Pod."""
        return not self._namespaces or namespace in self._namespaces

    async def _job_of(self, pod: PodView, request: ClaimRequest) -> FactotumJob | None:
        """Return the job that a Pod asks for, if it is its own, of its own namespace only."""
        known = self._cache.jobs.get(request.uid)
        if known is not None and has_claimed(known, request, pod):
            return known
        if pod.job_uid != request.uid or not pod.owner:
            return None
        if known is not None:
            return known if pod.belongs_to(known) else None
        return await self._live.job(pod.namespace, pod.owner, pod.job_uid)

    async def _grant(
        self,
        job: FactotumJob,
        request: ClaimRequest,
        pod: PodView,
        memory: JobMemory,
        is_claimed: bool,  # noqa: FBT001 - a plain fact
    ) -> Answer | None:
        """Write the claim and answer it; None if the job changed meanwhile."""
        plan = await self._observer.read_factfile(job, memory)
        if isinstance(plan, Unreadable):
            return Later(message=plan.message)
        if isinstance(plan, Plan) and pod.factfile_hash != plan.digest:
            memory.factfile = plan = factfile.changed(plan, pod.factfile_hash)
        # A claim that stands is not taken back here: an order reaches its runner by its reports.
        if not isinstance(plan, Plan) or (job.desired != "Run" and not is_claimed):
            # Its next look ends the job; this Pod will have nothing to do.
            self._look_later(job.uid)
            told = "the job is not to run" if isinstance(plan, Plan) else plan.message
            return Denied(status=410, message=told)
        if is_claimed:
            return Granted(body=_work_order(job, plan))
        if why := self._not_its_turn(job, plan):
            memory.wants_back = pod.uid
            return Later(message=why)
        began = self._clock.monotonic()
        patch = status.claimed(
            job, plan, pod, request.claim_id, self._clock.now(), caveat=memory.caveat
        )
        try:
            claimed = await self._writer.patch(job, patch)
        except (errors.ConflictError, errors.NotFoundError):
            return None
        now = self._clock.monotonic()
        memory.patched(now - began, now)
        self._slots.hold(job.uid)
        return Granted(body=_work_order(claimed, plan))

    def _not_its_turn(self, job: FactotumJob, plan: Plan) -> str:
        """Reserve the start of a job; say why not, if it must wait.

        Its Pod was stuck and gave the worker back, or was never made by us, or
        another job of its job id has a Pod as well.
        """
        wants = Waiting.of(job, plan.job_id)
        for uid in self._slots.join(wants):
            if uid != job.uid:
                self._look_later(uid)
        if not self._slots.has_worker(job.uid):
            return "all workers are busy"
        if not self._slots.start(wants):
            self._look_later(job.uid)
            return "another job of the same job id has not ended"
        return ""

    # --- reports ----------------------------------------------------------------------

    async def report(
        self, uid: JobUid, attempt: int, report: Report, identity: PodIdentity
    ) -> Answer:
        """Take a report; a final one is answered once it stands in the status.

        Raises:
            KubeError: the API server did not say; the same as ``Later``.
        """
        found = await self._reported_on(uid, attempt, report, identity)
        if not isinstance(found, FactotumJob):
            return found
        job = found
        if job.is_done:
            return Granted(body={"order": None})
        if job.total_tasks != len(report.states):
            return Denied(status=400, message=f"the job has {job.total_tasks} tasks")
        async with self._ledger.open(uid) as memory:
            memory.hear(report)
            job = self._cache.jobs.get(uid, job)
            is_over = job.deleting or memory.gone_since is not None or job.order is not None
        if report.final:
            return await self._deliver(uid, attempt, report)
        self._look_later(uid)
        return Granted(body={"order": Order.STOP if is_over else None})

    async def _reported_on(
        self, uid: JobUid, attempt: int, report: Report, identity: PodIdentity
    ) -> FactotumJob | Answer:
        """Return the job that a report counts for; a refusal follows a live read."""
        if not self._serves(identity.namespace):
            return NOT_ITS_OWN
        job = self._cache.jobs.get(uid)
        if job is None or job.namespace != identity.namespace:
            # For a Pod of elsewhere it is as if there were none.
            found = await self._reported(uid, identity)
            if not isinstance(found, FactotumJob):
                return found
            return judge_report(found, attempt, report, identity) or found
        if judge_report(job, attempt, report, identity) is None:
            return job
        refreshed = await self._live.refresh(job)
        if refreshed is None:
            return Denied(status=410, message="the job was deleted")
        return judge_report(refreshed, attempt, report, identity) or refreshed

    async def _reported(self, uid: JobUid, identity: PodIdentity) -> FactotumJob | Answer:
        """Read live the job of a Pod that reports on one that the cache does not hold.

        Without a clear answer its runner would ask until it is killed.
        """
        pod = await self._live.pod(identity.namespace, identity.pod_name, identity.pod_uid)
        if pod is None:
            return Later(message="neither the job nor the Pod is known")
        if pod.job_uid != uid or not pod.owner:
            return NOT_ITS_OWN
        return await self._live.job(pod.namespace, pod.owner, uid) or NOT_ITS_OWN

    async def _deliver(self, uid: JobUid, attempt: int, report: Report) -> Answer:
        """Bring a final report into the status before it is answered."""
        for _ in range(_MAX_TRIES):
            await self._bring_forward(uid)
            job = self._cache.jobs.get(uid)
            if job is None:
                return Denied(status=410, message="the job was deleted")
            # It is over for this runner, too, if it was stopped or another attempt follows.
            if job.is_done or job.claim is None or job.attempt != attempt:
                return Granted(body={"order": None})
            if job.claim.id == report.claim_id and job.sequence >= report.sequence:
                return Granted(body={"order": None})
            await asyncio.sleep(0.05)
        return Later(message="the verdict is not written yet")


def _work_order(job: FactotumJob, plan: Plan) -> dict[str, Any]:
    """Return what a claim is answered with: also the results that its attempt keeps."""
    kept = status.kept_report(job, len(plan.task_names))
    return work_order(job.name, job.spec, plan.text, plan.digest, kept=kept)
