"""Who holds what after a look: worker slots, job ids and places in the line, kept or let go.

Apart from the look, which brings a job forward: this asks only what is known
of a job and its Pods, and whether a task of it may be running somewhere.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from factotum.controller.clock import Clock
from factotum.controller.decide import attempts
from factotum.controller.decide.decision import RETRY_SECONDS
from factotum.controller.decide.unclaimed.starting import is_stuck
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.pods import PodView
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.memory import JobMemory
from factotum.controller.queue.holders import ids_of, is_holder, may_run
from factotum.controller.queue.slots import Slots
from factotum.controller.work_queue import WorkQueue
from factotum.core.words.reasons import Reason
from factotum.kube.resource import Duplicates, FactotumJob, JobUid

_ENDING_SECONDS: Final = 60.0
"""How long the Pods of a job that is gone keep its slot: twice the grace that we give them."""


class Holding:
    """Tells the slots what jobs have, and has those looked at that get something by it."""

    def __init__(
        self,
        cache: Cache,
        slots: Slots,
        ledger: Ledger,
        clock: Clock,
        queue: WorkQueue[JobUid],
    ) -> None:
        self._cache = cache
        self._slots = slots
        self._ledger = ledger
        self._clock = clock
        self._queue = queue

    def count(self, jobs: Iterable[FactotumJob]) -> None:
        """Count everybody who is seen to run, before anything is given out.

        Args:
            jobs: all that are known, in the order of their turns.
        """
        seen = [(job, self._cache.pods_of(job)) for job in jobs]
        holding = [(job, pods) for job, pods in seen if is_holder(job, pods)]
        # Who may run tasks counts, room or not; a Pod that has not asked yet has to ask.
        for job, pods in sorted(holding, key=lambda each: not _may_have_started(*each)):
            if _may_have_started(job, pods) or self._slots.has_room(job.namespace):
                self.hold(job, pods)
            else:
                self._slots.keep_ids(job.uid, ids_of(job, pods), beside=_runs_beside(job))
        self._count_orphans()

    def _count_orphans(self) -> None:
        """Count the Pods that may be at work though their jobs are gone."""
        for pod in self._cache.pods():
            if pod.job_uid not in self._cache.jobs and _is_left(pod):
                if pod.owner:
                    self._slots.hold(pod.job_uid, namespace=pod.namespace)
                self._slots.keep_ids(pod.job_uid, ids_of(None, [pod]), started=True)
                self._queue.add(pod.job_uid)

    def settle(self, uid: JobUid, memory: JobMemory, *, in_line: bool) -> None:
        """Keep or free worker, job id and place in the line, by what is known after a look."""
        job = self._cache.jobs.get(uid)
        if job is None:
            return  # gone meanwhile: its next look lets go of it
        pods = self._cache.pods_of(job)
        running = [pod for pod in pods if may_run(pod)]
        starting = [pod for pod in running if not self._is_stuck(job, pod, memory)]
        if is_holder(job, starting):
            self.hold(job, pods)
            if job.is_done and not all(pod.belongs_to(job) for pod in starting):
                # That Pod's end is told to the job that its label names by now.
                self._queue.add_later(uid, RETRY_SECONDS)
            return
        is_at_rest = job.is_done or job.reason == Reason.SUSPENDED
        # Of one that does not want to run any more, only a request under way brings a Pod yet.
        may_come = memory.creation is not None or not is_at_rest
        if may_come and memory.is_launching(self._clock.monotonic()):
            return  # its Pod may be there any moment
        memory.gives_back(job.attempt, job.launch)
        # A slot that was given back and has come again is kept for the claim that waits for it.
        is_awaited = any(p.uid == memory.wants_back and not p.deleting for p in running)
        if running:
            ids = ids_of(job, pods)
            started = _may_have_started(job, running)
            kept = self._slots.keep_ids(uid, ids, beside=_runs_beside(job), started=started)
            self.wake(kept, but=uid)
        if is_at_rest or not (is_awaited or (in_line and self._slots.is_waiting(uid))):
            # A Pod that is being made has the job id, as one that is there.
            has_id = bool(running) or (memory.creation is not None and not job.is_done)
            let_go = self._slots.give_back if has_id else self._slots.release
            self.wake(let_go(uid))
            if in_line:
                self._queue.add(uid)
        if job.is_done:
            self._ledger.close(uid)

    def hold(self, job: FactotumJob, pods: Sequence[PodView]) -> None:
        """Count a job as one that runs, with the job ids of its Pods."""
        self._slots.hold(
            job.uid,
            ids_of(job, pods),
            namespace=job.namespace,
            beside=_runs_beside(job),
            started=_may_have_started(job, pods),
        )

    def _is_stuck(self, job: FactotumJob, pod: PodView, memory: JobMemory) -> bool:
        """Whether a Pod does not get to run tasks: others may until its claim comes."""
        if job.is_done or (job.claim is not None and job.claim.pod_uid == pod.uid):
            return False  # it may be at work, to its very end
        if attempts.has_run(job, pod):
            return False  # it may be at work on its last events
        if (pod.attempt, pod.launch) < (job.attempt, job.launch):
            return True  # its claim is refused
        now = self._clock.monotonic()
        # Another controller's, which may have given its worker to somebody else.
        is_too_many = not (self._slots.has_worker(job.uid) or self._slots.has_room(job.namespace))
        if is_too_many or is_stuck(
            pod,
            pending=memory.pending_seconds(pod.uid, now),
            running=memory.running_seconds(pod, now),
            heard=memory.heard == pod.uid,
        ):
            memory.gave_back = pod.uid
        return memory.has_given_back(pod)

    def forget(self, uid: JobUid, memory: JobMemory) -> None:
        """Let go of a job that is gone; its Pods go with it by their owner.

        They keep its worker slot while they end, but not longer than ours
        take: anybody can make a Pod that does not. The job id they keep until
        they have ended, orphans too: a task may be running there.
        """
        running = [pod for pod in self._cache.pods_labelled(uid) if _is_left(pod)]
        if running:
            self.wake(self._slots.keep_ids(uid, ids_of(None, running), started=True), but=uid)
            now = self._clock.monotonic()
            memory.gone_since = now if memory.gone_since is None else memory.gone_since
            is_ending = now - memory.gone_since < _ENDING_SECONDS
            if is_ending and self._slots.has_worker(uid) and any(pod.owner for pod in running):
                self._queue.add_later(uid, RETRY_SECONDS)
            else:
                self.wake(self._slots.give_back(uid))
            return
        self.wake(self._slots.release(uid))
        self._ledger.close(uid)
        self._queue.forget(uid)

    def wake(self, admitted: list[JobUid], but: JobUid | None = None) -> None:
        """Have those looked at that may run by now, but not whoever is looked at anyway."""
        for uid in admitted:
            if uid != but:
                self._queue.add(uid)


def _is_left(pod: PodView) -> bool:
    """Whether a Pod whose job is gone may be at work still; an orphan has no owner any more."""
    return may_run(pod) and bool(pod.owner or pod.is_named_as_ours)


def _may_have_started(job: FactotumJob, pods: Sequence[PodView]) -> bool:
    """Whether tasks of a job may be running: also those of an attempt before, whose Pod ends."""
    earlier = any(may_run(pod) and attempts.has_run(job, pod) for pod in pods)
    return job.is_claimed or job.is_done or earlier


def _runs_beside(job: FactotumJob) -> bool:
    return job.duplicate_policy == Duplicates.ALLOW
