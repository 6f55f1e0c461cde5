"""Observe, decide, apply: one look at one job, and the workers that take them.

Order within a look: questions, then the patch, which fences what follows,
then deletes, then the create.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from factotum.controller import log
from factotum.controller.apply.writer import Writer
from factotum.controller.clock import Clock
from factotum.controller.decide import attempts, table
from factotum.controller.decide.cleanup import seconds_left
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, Notice
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import Observed, Plan
from factotum.controller.facts.pods import PodView
from factotum.controller.mirror.protocol import Mirror
from factotum.controller.mirror.source import HeldByOther, Unreachable
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.live import Live
from factotum.controller.observe.memory import JobMemory
from factotum.controller.observe.observer import Answers, Observer
from factotum.controller.observe.surroundings import Surroundings
from factotum.controller.queue.admission import Waiting
from factotum.controller.queue.slots import Slots
from factotum.controller.reconcile.creations import Creations
from factotum.controller.reconcile.holding import Holding
from factotum.controller.reconcile.positions import Positions
from factotum.controller.reconcile.workers import Workers
from factotum.controller.recording import NO_RECORDER, Recorder
from factotum.controller.work_queue import WorkQueue
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from factotum.kube import errors
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

_MAX_ROUNDS: Final = 12
_MAX_DELAY_SECONDS: Final = 60.0
_DOUBT_SECONDS: Final = 2.0


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
        recorder: Recorder = NO_RECORDER,
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
        self._recorder = recorder
        self._surroundings = surroundings
        self._creations = Creations(writer, surroundings.namespaces, clock, self.queue.add)
        self._doubted: dict[JobUid, int] = {}
        self._positions = Positions(slots, self.queue)
        self._holding = Holding(cache, slots, ledger, clock, self.queue)
        self._workers = Workers(self.queue, self._survive, self._namespace_of, clock)

    # --- what happens elsewhere -----------------------------------------------------

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:  # noqa: ARG002 - Subscriber
        """Look at a job that changed."""
        self.queue.add(job.uid)

    def pod_changed(self, pod: PodView) -> None:
        """Look at the job whose Pod changed."""
        self.queue.add(pod.job_uid)

    def doubt(self, uid: JobUid, version: int) -> None:
        """Look whether a job is still there, before anything else is done about it.

        Args:
            uid: of the job.
            version: as of which it seems to be gone.
        """
        self._doubted[uid] = max(version, self._doubted.get(uid, 0))
        self.queue.add(uid)

    def start(self) -> None:
        """Count everybody who is seen to run, and queue a look at every job that needs one.

        Nobody is given anything before all are counted; then whoever came first looks first.
        """
        jobs = sorted(self._cache.jobs.values(), key=lambda job: (job.created, job.uid))
        self._holding.count(jobs)
        for job in jobs:
            is_surplus = self._surroundings.jobs_kept.is_surplus(job.uid)
            is_open = not job.is_done or not job.is_observed or attempts.is_wanted(job)
            if is_open or is_surplus or self._cache.pods_of(job):
                self.queue.add(job.uid)
            elif (left := seconds_left(job, self._clock.now())) is not None:
                self.queue.add_later(job.uid, left)

    async def stand_by(self) -> None:
        """Keep the cache true while another replica leads: look up jobs that seem to be gone."""
        while True:
            # Most have only left one watch for the other, and need no request.
            await asyncio.sleep(_DOUBT_SECONDS)
            for _ in range(len(self.queue)):
                uid = await self.queue.get()
                try:
                    await self._dispel(uid)
                except errors.KubeError as exc:
                    self._log(uid).warning("it cannot be looked up: %s", exc)
                    self.queue.add_later(uid, _MAX_DELAY_SECONDS)
                finally:
                    self.queue.done(uid)

    async def run(self) -> None:
        """Look at jobs for ever."""
        try:
            await self._workers.run()
        finally:
            self._creations.close()

    async def _survive(self, uid: JobUid) -> None:
        """Have a look; what comes of it is the matter of that job alone."""
        began = self._clock.monotonic()
        failure = ""
        try:
            await self.look(uid)
        except errors.KubeError as exc:
            failure = "api"
            self._later(uid, exc)
        except Exception:  # noqa: BLE001 - it is logged, by the job's own logger
            # A border: one job's bug must not stop the others.
            failure = "internal"
            self._log(uid).exception("it cannot be brought forward")
            self._later(uid, None)
        self._recorder.looked(self._clock.monotonic() - began, failure)

    def longest_look(self) -> float:
        """Return for how many seconds the look goes on that began first."""
        return self._workers.longest_look()

    def _namespace_of(self, uid: JobUid) -> str:
        job = self._cache.jobs.get(uid)
        return "" if job is None else job.namespace

    def _later(self, uid: JobUid, exc: errors.KubeError | None) -> None:
        delay = min(_MAX_DELAY_SECONDS, 0.25 * 2 ** self._ledger.failures(uid))
        if exc is not None:
            self._log(uid).warning("%s; again in %.1f s", exc, delay)
        self.queue.add_later(uid, delay)

    def _log(self, uid: JobUid) -> log.JobLogger:
        job = self._cache.jobs.get(uid)
        return log.of_unknown(logger, uid) if job is None else log.of(logger, job)

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
                    self._holding.forget(uid, memory)
                    return
                seen = self._observer.observe(job, memory, answers)
                decision = table.decide(seen, self._clock.now())
                if decision.ask:
                    await self._observer.answer(decision.ask, job, memory, answers)
                elif await self._apply(decision, seen, memory):
                    memory.failures = 0
                    if not _goes_on(job, decision):
                        self._holding.settle(uid, memory, in_line=decision.in_line)
                    return
        self.queue.add_later(uid, 1.0)

    async def _dispel(self, uid: JobUid) -> None:
        """Read a job live that is said to be gone.

        Unless it was still there at that version: a watch can be faster than
        the answer to the patch that took the job out of it, which had the
        job's lock until now.
        """
        version = self._doubted.get(uid)
        job = self._cache.jobs.get(uid)
        if version is not None and job is not None and job.version < version:
            await self._live.refresh(job)
        self._doubted.pop(uid, None)

    async def _apply(self, decision: Decision, seen: Observed, memory: JobMemory) -> bool:
        """Carry out a decision; False if the job is to be looked at again at once."""
        job = seen.job
        if job.is_done:
            self.queue.forget(job.uid)
        if decision.join and isinstance(seen.factfile, Plan):
            wants = Waiting.of(job, seen.factfile.job_id)
            self._holding.wake(self._slots.join(wants), but=job.uid)
            self._positions.expect()
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
            taken = await self._mirror.take(seen.job, seen.factfile.job_id)
            about = log.of(logger, seen.job)
            if isinstance(taken, HeldByOther):
                about.warning("its Consul entry is held by %r", taken.last_run_from)
                memory.held_elsewhere(taken.last_run_from, self._clock.monotonic())
                return
            if isinstance(taken, Unreachable):
                about.warning("its Consul entry follows later: %s", taken.message)
                memory.caveat = "Consul could not be asked whether others run it too"
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
        if patch.get("attempt", job.attempt) != job.attempt:
            memory.next_attempt()
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


def _goes_on(job: FactotumJob, decision: Decision) -> bool:
    """Whether the next look follows at once and wants what the job has: its next launch."""
    patch = decision.patch or {}
    is_step = patch.get("state") == JobState.QUEUED and "launch" in patch
    # Another attempt queues anew, and one that is suspended wants nothing.
    is_same = patch.get("attempt", job.attempt) == job.attempt
    is_step = is_step and is_same and patch.get("reason") != Reason.SUSPENDED
    return is_step and decision.again_in is None and not decision.in_line
