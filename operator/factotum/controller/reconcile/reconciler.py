"""Observe, decide, apply: one look at one job, and the workers that take them.

Order within a look: questions, then the patch, which fences what follows,
then deletes, then the create.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from factotum.controller.apply.writer import Writer
from factotum.controller.clock import Clock
from factotum.controller.decide import table
from factotum.controller.decide.cleanup import seconds_left
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, Notice
from factotum.controller.decide.starting import is_stuck
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import Held, Observed, Plan
from factotum.controller.facts.pods import PodView
from factotum.controller.mirror.protocol import Mirror
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.live import Live
from factotum.controller.observe.memory import JobMemory
from factotum.controller.observe.observer import Answers, Observer
from factotum.controller.observe.surroundings import Surroundings
from factotum.controller.queue.admission import Waiting
from factotum.controller.queue.holders import is_holder, may_run
from factotum.controller.queue.slots import Slots
from factotum.controller.reconcile.creations import Creations
from factotum.controller.reconcile.workers import Workers
from factotum.controller.work_queue import WorkQueue
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from factotum.kube import errors
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

_MAX_ROUNDS: Final = 12
_MAX_DELAY_SECONDS: Final = 60.0
_ENDING_SECONDS: Final = 60.0
"""How long the Pods of a job that is gone keep its slot: twice the grace that we give them."""


class Reconciler:
    """Brings jobs to where they should be. Subscribes to the cache.

    Attributes:
        queue: the jobs to look at.
    """

    def __init__(  # noqa: PLR0913 - what a look consists of
        self,
        *,
        cache: Cache,
        live: Live,
        observer: Observer,
        writer: Writer,
        slots: Slots,
        ledger: Ledger,
        mirror: Mirror,
        clock: Clock,
        surroundings: Surroundings,
    ) -> None:
        self.queue: WorkQueue[JobUid] = WorkQueue()
        self._cache = cache
        self._live = live
        self._observer = observer
        self._writer = writer
        self._slots = slots
        self._ledger = ledger
        self._mirror = mirror
        self._clock = clock
        self._surroundings = surroundings
        self._creations = Creations(writer, surroundings.namespaces, clock, self.queue.add)
        self._doubted: dict[JobUid, bool] = {}

    # --- what happens elsewhere -----------------------------------------------------

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:  # noqa: ARG002 - Subscriber
        """Look at a job that changed."""
        self.queue.add(job.uid)

    def pod_changed(self, pod: PodView) -> None:
        """Look at the job whose Pod changed."""
        self.queue.add(pod.job_uid)

    def doubt(self, uid: JobUid) -> None:
        """Look whether a job is still there, before anything else is done about it."""
        job = self._cache.jobs.get(uid)
        self._doubted[uid] = job is not None and job.is_done
        self.queue.add(uid)

    def start(self) -> None:
        """Count everybody who is seen to run, and queue a look at every job that needs one."""
        for uid, job in self._cache.jobs.items():
            pods = self._cache.pods_of(job)
            if is_holder(job, pods):
                self._slots.hold(uid)
            if not job.is_done or pods or not job.is_observed:
                self.queue.add(uid)
            elif (left := seconds_left(job, self._clock.now())) is not None:
                self.queue.add_later(uid, left)
        for pod in self._cache.pods():
            if pod.job_uid not in self._cache.jobs and pod.owner and may_run(pod):
                self._slots.hold(pod.job_uid)
                self.queue.add(pod.job_uid)

    async def run(self) -> None:
        """Look at jobs for ever."""
        try:
            await Workers(self.queue, self._survive, self._namespace_of, self._clock).run()
        finally:
            self._creations.close()

    async def _survive(self, uid: JobUid) -> None:
        """Have a look; what comes of it is the matter of that job alone."""
        try:
            await self.look(uid)
        except errors.KubeError as exc:
            self._later(uid, exc)
        except Exception:
            # A border: one job's bug must not stop the others.
            logger.exception("job %s cannot be brought forward", self._name_of(uid))
            self._later(uid, None)

    def _namespace_of(self, uid: JobUid) -> str:
        job = self._cache.jobs.get(uid)
        return "" if job is None else job.namespace

    def _later(self, uid: JobUid, exc: errors.KubeError | None) -> None:
        delay = min(_MAX_DELAY_SECONDS, 0.25 * 2 ** self._ledger.failures(uid))
        if exc is not None:
            logger.warning("job %s: %s; again in %.1f s", self._name_of(uid), exc, delay)
        self.queue.add_later(uid, delay)

    def _name_of(self, uid: JobUid) -> str:
        job = self._cache.jobs.get(uid)
        return uid if job is None else f"{job.namespace}/{job.name}"

    # --- one look -------------------------------------------------------------------

    async def look(self, uid: JobUid) -> None:
        """Look at one job and do what is to be done.

        Raises:
            KubeError: something could not be done; look again later.
        """
        async with self._ledger.open(uid) as memory:
            await self._dispel(uid)
            answers = Answers()
            self._creations.take_answer(memory)
            for _ in range(_MAX_ROUNDS):
                job = self._cache.jobs.get(uid)
                if job is None:
                    self._forget(uid, memory)
                    return
                seen = self._observer.observe(job, memory, answers)
                decision = table.decide(seen, self._clock.now())
                if decision.ask:
                    await self._observer.answer(decision.ask, job, memory, answers)
                elif await self._apply(decision, seen, memory):
                    memory.failures = 0
                    self._settle(uid, memory)
                    return
        self.queue.add_later(uid, 1.0)

    async def _dispel(self, uid: JobUid) -> None:
        """Read a job live that is said to be gone.

        Unless it was only done: the watch can be faster than the answer to the
        patch that made it so, which had the job's lock until now.
        """
        was_done = self._doubted.get(uid)
        job = self._cache.jobs.get(uid)
        if was_done is not None and job is not None and job.is_done is was_done:
            await self._live.refresh(job)
        self._doubted.pop(uid, None)

    async def _apply(self, decision: Decision, seen: Observed, memory: JobMemory) -> bool:
        """Carry out a decision; False if the job is to be looked at again at once."""
        job = seen.job
        if job.is_done:
            self.queue.forget(job.uid)
        if decision.join:
            self._wake(self._slots.join(Waiting(job.created, job.uid)), but=job.uid)
            return False
        if decision.announce:
            await self._announce(seen, memory)
            return False
        patch = decision.patch
        if patch is not None and not await self._patch(job, patch, decision.notice, memory):
            return False
        for pod in decision.delete:
            await self._writer.delete_pod(pod)
        if decision.remove:
            return await self._remove(job)
        if decision.create and isinstance(seen.factfile, Plan) and seen.host is not None:
            await self._creations.create(job, seen.factfile, seen.host, memory)
        if decision.again_in is not None:
            self.queue.add_later(job.uid, decision.again_in)
        elif patch is not None and patch.get("state") != JobState.DONE:
            self.queue.add(job.uid)
        return True

    async def _announce(self, seen: Observed, memory: JobMemory) -> None:
        """Take the job's entry in Consul before its Pod is made."""
        if isinstance(seen.factfile, Plan):
            problem = await self._mirror.take(seen.job, seen.factfile.job_id)
            if problem:
                logger.warning("job %s/%s: %s", seen.job.namespace, seen.job.name, problem)
        memory.mirrored = True

    async def _patch(
        self,
        job: FactotumJob,
        patch: Mapping[str, Any],
        notice: Notice | None,
        memory: JobMemory,
    ) -> bool:
        """Write a status; False if the job changed meanwhile."""
        began = self._clock.monotonic()
        try:
            await self._writer.patch(job, patch)
        except errors.ConflictError:
            await self._live.refresh(job)
            return False
        except errors.NotFoundError:
            return False
        now = self._clock.monotonic()
        memory.patched(now - began, now)
        if patch.get("state") == JobState.QUEUED:
            memory.told(patch["reason"], now)
        if patch.get("reason") == Reason.POD_PENDING:
            self._surroundings.allowance.spend()
        if notice is not None:
            self._writer.record(job, notice)
        return True

    async def _remove(self, job: FactotumJob) -> bool:
        """Delete a finished job; False if it changed meanwhile: what it is now is looked at."""
        if self._mirror.owes(job):
            self.queue.add_later(job.uid, RETRY_SECONDS)
            return True
        try:
            await self._writer.delete_job(job)
        except errors.ConflictError:
            await self._live.refresh(job)
            return False
        return True

    # --- worker slots ---------------------------------------------------------------

    def _settle(self, uid: JobUid, memory: JobMemory) -> None:
        """Keep or free the worker slot, by what is known after a look."""
        job = self._cache.jobs.get(uid)
        if job is None:
            return  # gone meanwhile: its next look lets go of it
        pods = self._cache.pods_of(job)
        starting = [pod for pod in pods if may_run(pod) and not self._is_stuck(job, pod, memory)]
        if is_holder(job, starting):
            self._slots.hold(uid)
            return
        if not job.is_done and memory.is_launching(self._clock.monotonic()):
            return  # its Pod may be there any moment
        memory.gives_back(job.attempt, job.launch)
        # A slot that was given back and has come again is kept for the claim that waits for it.
        is_awaited = any(p.uid == memory.wants_back and not p.deleting for p in pods if may_run(p))
        if job.is_done or (isinstance(self._slots.place(uid), Held) and not is_awaited):
            self._wake(self._slots.release(uid))
        if job.is_done:
            self._ledger.close(uid)

    def _is_stuck(self, job: FactotumJob, pod: PodView, memory: JobMemory) -> bool:
        """Whether a Pod does not get to run tasks: others may until its claim comes."""
        if job.is_done or (job.claim is not None and job.claim.pod_uid == pod.uid):
            return False  # it may be at work, to its very end
        if pod.attempt == job.attempt and pod.launch < job.launch:
            return True  # its claim is refused
        now = self._clock.monotonic()
        if is_stuck(
            pod,
            pending=memory.pending_seconds(pod.uid, now),
            running=memory.running_seconds(pod, now),
            heard=memory.heard == pod.uid,
        ):
            memory.gave_back = pod.uid
        return memory.has_given_back(pod)

    def _forget(self, uid: JobUid, memory: JobMemory) -> None:
        """Let go of a job that is gone; its Pods go with it by their owner.

        They keep its worker slot while they end, but not longer than ours
        take: anybody can make a Pod that does not.
        """
        held = isinstance(self._slots.place(uid), Held)
        if held and any(may_run(pod) for pod in self._cache.pods_owned_by(uid)):
            now = self._clock.monotonic()
            memory.gone_since = now if memory.gone_since is None else memory.gone_since
            if now - memory.gone_since < _ENDING_SECONDS:
                self.queue.add_later(uid, RETRY_SECONDS)
                return
        self._wake(self._slots.release(uid))
        self._ledger.close(uid)
        self.queue.forget(uid)

    def _wake(self, admitted: list[JobUid], but: JobUid | None = None) -> None:
        for uid in admitted:
            if uid != but:
                self.queue.add(uid)
