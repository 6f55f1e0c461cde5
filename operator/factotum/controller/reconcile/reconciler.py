"""Observe, decide, apply: one look at one job, and the workers that take them.

Everything that writes a job's status or Pods happens here or in ``claims``,
under the job's lock. Order within a look: questions, then the patch, which
fences what follows, then deletes, then the create.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from factotum.controller.apply import manifest as pods
from factotum.controller.decide import table as decisions
from factotum.controller.decide.table import Decision, Notice
from factotum.controller.facts.cache import Store
from factotum.controller.facts.observed import (
    Ask,
    FactfileFact,
    HostFact,
    Observed,
    Plan,
    PodRefusal,
    PodView,
    Unreadable,
)
from factotum.controller.mirror.feeding import JobMirror
from factotum.controller.observe import factfile as factfiles
from factotum.controller.observe import hosts
from factotum.controller.queue.slots import Slots, Waiting
from factotum.controller.reconcile.memory import JobMemory
from factotum.controller.settings import Settings
from factotum.controller.work_queue import WorkQueue
from factotum.kube import errors, names
from factotum.kube.client import KubeClient
from factotum.kube.resource import FactotumJob, JobUid, format_time

logger = logging.getLogger(__name__)

_WORKERS: Final = 16
_MAX_ROUNDS: Final = 12
_MAX_DELAY_SECONDS: Final = 60.0


class _Found:
    """Answers to the questions of one look."""

    def __init__(self) -> None:
        self.factfile: FactfileFact | None = None
        self.host: HostFact | None = None
        self.absent: set[str] = set()


class Reconciler:
    """Brings jobs to where they should be.

    Attributes:
        store: what the watches told.
        queue: the jobs to look at.
        slots: who may run.
    """

    def __init__(
        self,
        client: KubeClient,
        settings: Settings,
        resolver: hosts.Resolver,
        mirror: JobMirror,
    ) -> None:
        self.client = client
        self.settings = settings
        self.store = Store()
        self.queue: WorkQueue[JobUid] = WorkQueue()
        self.slots = Slots(settings.max_workers)
        self._resolver = resolver
        self._mirror = mirror
        self._memories: defaultdict[JobUid, JobMemory] = defaultdict(JobMemory)
        self._background: set[asyncio.Task[None]] = set()

    def memory(self, uid: JobUid) -> JobMemory:
        """Return what is remembered of a job."""
        return self._memories[uid]

    async def run(self) -> None:
        """Look at jobs for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            uid = await self.queue.get()
            try:
                await self.look(uid)
            except errors.KubeError as exc:
                self._later(uid, exc)
            except Exception:
                # A border: one job's bug must not stop the others.
                logger.exception("job %s cannot be brought forward", uid)
                self._later(uid, None)
            finally:
                self.queue.done(uid)

    def _later(self, uid: JobUid, exc: errors.KubeError | None) -> None:
        memory = self.memory(uid)
        memory.failures += 1
        delay = min(_MAX_DELAY_SECONDS, 0.25 * 2**memory.failures)
        if exc is not None:
            logger.warning("job %s: %s; again in %.1f s", uid, exc, delay)
        self.queue.add_later(uid, delay)

    async def look(self, uid: JobUid) -> None:
        """Look at one job and do what is to be done.

        Raises:
            KubeError: something could not be done; look again later.
        """
        memory = self.memory(uid)
        async with memory.lock:
            found = _Found()
            for _ in range(_MAX_ROUNDS):
                job = self.store.jobs.get(uid)
                if job is None:
                    await self.forget(uid)
                    return
                seen = self._observe(job, memory, found)
                decision = decisions.decide(seen, datetime.now(UTC))
                if decision.ask:
                    if not await self._answer(decision.ask, job, memory, found, seen):
                        return
                    continue
                if await self._apply(decision, seen, memory, found):
                    memory.failures = 0
                    self._settle(uid)
                    return
        self.queue.add_later(uid, 1.0)

    def _observe(self, job: FactotumJob, memory: JobMemory, found: _Found) -> Observed:
        known = self.store.pods_of(job.uid)
        unclaimed = next((p for p in known if not p.ended and not p.deleting), None)
        claim = job.claim
        if claim is None or any(p.uid == claim.pod_uid for p in known):
            memory.gone_since = None
        report = memory.report
        if report is not None and (claim is None or report.claim_id != claim.id):
            report = None
        return Observed(
            job=job,
            pods=known,
            factfile=memory.factfile or found.factfile,
            host=found.host,
            has_slot=self.slots.has(job.uid),
            mirrored=memory.mirrored,
            absent=frozenset(found.absent),
            gone_seconds=memory.gone_seconds(),
            pending_seconds=memory.pending_seconds(unclaimed.uid) if unclaimed else 0.0,
            report=report,
            progress_due=memory.progress_due,
            refusal=memory.current_refusal(),
        )

    async def _answer(
        self,
        ask: frozenset[Ask],
        job: FactotumJob,
        memory: JobMemory,
        found: _Found,
        seen: Observed,
    ) -> bool:
        """Find out; False if the look ends here."""
        if Ask.FACTFILE in ask:
            found.factfile = await self.read_factfile(job, memory)
        if Ask.HOST in ask:
            found.host = await hosts.resolve(
                job.host_constraint, self.store.nodes.values(), self._resolver
            )
        if Ask.ABSENCE in ask and job.claim is not None:
            await self._confirm_gone(job, job.claim.pod_name, job.claim.pod_uid, memory, found)
        if Ask.MIRROR in ask and isinstance(seen.factfile, Plan):
            self._mirror.know(job.uid, seen.factfile.job_id)
            problem = await self._mirror.take(job)
            if problem:
                logger.warning("job %s/%s: %s", job.namespace, job.name, problem)
            memory.mirrored = True
        return Ask.SLOT not in ask or await self._get_slot(job, memory, seen)

    async def _get_slot(self, job: FactotumJob, memory: JobMemory, seen: Observed) -> bool:
        """Get a worker slot, or a place in the queue for one."""
        for uid in self.slots.want(Waiting(job.created, job.uid)):
            if uid != job.uid:
                self.queue.add(uid)
        if self.slots.has(job.uid):
            return True
        patch = decisions.queued(seen, datetime.now(UTC))
        if patch is not None:
            await self._patch(job, patch, memory)
        return False

    async def read_factfile(self, job: FactotumJob, memory: JobMemory) -> FactfileFact:
        """Return the factfile as accepted, reading it only once per job."""
        if memory.factfile is not None:
            return memory.factfile
        fact = await factfiles.read(job, self.client)
        if isinstance(fact, Unreadable):
            return fact
        if isinstance(fact, Plan):
            accepted = str(job.status.get("factfileHash", "")) or next(
                (p.factfile_hash for p in self.store.pods_of(job.uid) if p.factfile_hash), ""
            )
            if accepted and accepted != fact.digest:
                fact = factfiles.changed(fact, accepted)
        if job.claim is None or isinstance(fact, Plan):
            memory.factfile = fact
        return fact

    async def _confirm_gone(
        self, job: FactotumJob, pod_name: str, pod_uid: str, memory: JobMemory, found: _Found
    ) -> None:
        try:
            raw = await self.client.get(names.pods_path(job.namespace, pod_name))
        except errors.NotFoundError:
            raw = None
        if raw is not None and raw["metadata"]["uid"] == pod_uid:
            self.store.put_pod(raw)
            return
        found.absent.add(pod_uid)
        if memory.gone_since is None:
            memory.gone_since = time.monotonic()

    async def _apply(
        self, decision: Decision, seen: Observed, memory: JobMemory, found: _Found
    ) -> bool:
        """Carry out a decision; False if it must be made again."""
        job = seen.job
        if decision.patch is not None:
            if not await self._patch(job, decision.patch, memory):
                return False
            if decision.notice is not None:
                self._record(job, decision.notice)
        for pod in decision.delete:
            await self._delete(pod)
        if decision.create and isinstance(seen.factfile, Plan) and found.host is not None:
            await self._create(job, seen.factfile, found.host, memory)
        if decision.again_in is not None:
            self.queue.add_later(job.uid, decision.again_in)
        elif decision.patch is not None and decision.patch.get("state") != "DONE":
            self.queue.add(job.uid)
        return True

    async def _patch(
        self, job: FactotumJob, patch: Mapping[str, object], memory: JobMemory
    ) -> bool:
        """Write a status; False if the job changed meanwhile."""
        began = time.monotonic()
        try:
            raw = await self.client.patch_status(
                job.namespace, job.name, patch, resource_version=job.resource_version
            )
        except errors.ConflictError:
            await self.refresh(job)
            return False
        except errors.NotFoundError:
            self.store.drop_job(job.uid)
            return False
        memory.patched(time.monotonic() - began)
        if "state" in patch:
            logger.info(
                "job %s/%s: %s %s: %s",
                job.namespace,
                job.name,
                patch["state"],
                patch["reason"],
                patch["message"],
            )
        if isinstance(memory.factfile, Plan):
            self._mirror.know(job.uid, memory.factfile.job_id)
            self._mirror.note(job)
        self.took(raw)
        return True

    def took(self, raw: dict[str, object]) -> FactotumJob:
        """Take in a job's newer version that one of our own writes made."""
        job = self.store.put_job(raw)
        self._mirror.note(job)
        return job

    async def refresh(self, job: FactotumJob) -> FactotumJob | None:
        """Read a job live; None if it is gone, or another one has its name."""
        try:
            raw = await self.client.get(names.job_path(job.namespace, job.name))
        except errors.NotFoundError:
            raw = None
        if raw is None or raw["metadata"]["uid"] != job.uid:
            self.store.drop_job(job.uid)
            self.queue.add(job.uid)
            return None
        return self.store.put_job(raw)

    async def _delete(self, pod: PodView) -> None:
        try:
            await self.client.delete(names.pods_path(pod.namespace, pod.name), uid=pod.uid)
        except (errors.NotFoundError, errors.ConflictError):
            self.store.drop_pod(pod.job_uid, pod.uid)

    async def _create(
        self, job: FactotumJob, plan: Plan, host: HostFact, memory: JobMemory
    ) -> None:
        manifest = pods.build_runner_pod(job, plan, host, self.settings)
        try:
            raw = await self.client.create(names.pods_path(job.namespace), manifest)
        except errors.AlreadyExistsError:
            name = manifest["metadata"]["name"]
            raw = await self.client.get(names.pods_path(job.namespace, name))
        except errors.ForbiddenError as exc:
            # Quota frees up and a namespace being deleted takes the job along.
            passing = "exceeded quota" in str(exc) or "being terminated" in str(exc)
            self._refused(
                job, memory, "QuotaExceeded" if passing else "PodRejected", exc, not passing
            )
            return
        except errors.InvalidError as exc:
            self._refused(job, memory, "PodRejected", exc, permanent=True)
            return
        memory.refusal = None
        if self.store.put_pod(raw) is None:
            foreign = errors.KubeError(f"Pod {raw['metadata']['name']} exists and is not ours")
            self._refused(job, memory, "PodRejected", foreign, permanent=True)

    def _refused(
        self,
        job: FactotumJob,
        memory: JobMemory,
        reason: str,
        exc: errors.KubeError,
        permanent: bool,  # noqa: FBT001 - a plain fact
    ) -> None:
        message = f"the Pod was refused: {exc}"
        memory.refused(PodRefusal(permanent=permanent, reason=reason, message=message))
        self.queue.add(job.uid)

    def _settle(self, uid: JobUid) -> None:
        """Keep or free the worker slot, by what is known after a look."""
        job = self.store.jobs.get(uid)
        if job is None:
            return  # deleted meanwhile: its next look lets go of it
        if self.is_holder(job):
            self.slots.hold(uid)
            return
        for other in self.slots.release(uid):
            self.queue.add(other)
        if job.is_done:
            self._memories.pop(uid, None)
            self.queue.forget(uid)

    def is_holder(self, job: FactotumJob) -> bool:
        """Whether a job occupies a worker: a runner of it may be running."""
        if any(not pod.ended for pod in self.store.pods_of(job.uid)):
            return True
        return job.claim is not None and not job.is_done

    async def forget(self, uid: JobUid) -> None:
        """Let go of a job that is gone; its Pods go with it by their owner."""
        if not any(not pod.ended for pod in self.store.pods_of(uid)):
            for other in self.slots.release(uid):
                self.queue.add(other)
        self._memories.pop(uid, None)
        self.queue.forget(uid)

    def _record(self, job: FactotumJob, notice: Notice) -> None:
        """Record an Event, without waiting for it."""
        task = asyncio.create_task(self._post_event(job, notice))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _post_event(self, job: FactotumJob, notice: Notice) -> None:
        moment = format_time(datetime.now(UTC))
        event = {
            "metadata": {"generateName": f"{job.name[:200]}.", "namespace": job.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": job.namespace,
                "name": job.name,
                "uid": job.uid,
                "resourceVersion": job.resource_version,
            },
            "type": notice.type,
            "reason": notice.reason,
            "message": notice.message[:1024],
            "source": {"component": names.MANAGED_BY},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        try:
            await self.client.create(f"/api/v1/namespaces/{job.namespace}/events", event)
        except errors.KubeError as exc:
            logger.warning("job %s/%s: no Event recorded: %s", job.namespace, job.name, exc)
