"""All facts about one job at one moment, and finding out those that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from factotum.controller.clock import Clock
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import (
    Ask,
    FactfileFact,
    HostFact,
    Observed,
    Place,
    Plan,
    Rival,
    Unreadable,
    Waits,
)
from factotum.controller.facts.pods import PodView
from factotum.controller.observe import factfile, hosts
from factotum.controller.observe.live import Live
from factotum.controller.observe.memory import JobMemory
from factotum.controller.observe.surroundings import Surroundings
from factotum.controller.pod_template import judging
from factotum.controller.queue.slots import Slots
from factotum.core.words.reasons import Reason
from factotum.kube import errors
from factotum.kube.resource import FactotumJob, JobUid

_RIVALS: Final = 100
"""How many of those who run beside each other are looked at to find one at work."""


@dataclass(slots=True)
class Answers:
    """Answers to the questions of one look; they count for that look only."""

    factfile: FactfileFact | None = None
    host: HostFact | None = None
    results: Mapping[str, Any] | None = None
    absent: set[str] = field(default_factory=set)


class Observer:
    """Puts together what is known of a job. Whoever asks holds the job's lock."""

    def __init__(
        self,
        *,
        cache: Cache,
        live: Live,
        slots: Slots,
        resolver: hosts.Resolver,
        clock: Clock,
        surroundings: Surroundings,
    ) -> None:
        self._cache = cache
        self._live = live
        self._slots = slots
        self._resolver = resolver
        self._clock = clock
        self._surroundings = surroundings

    def observe(self, job: FactotumJob, memory: JobMemory, answers: Answers) -> Observed:
        """Return every fact that is known of a job now."""
        now = self._clock.monotonic()
        pods = self._pods_of(job, memory, now)
        # The Pod of an attempt before may be there to its end: no time of this one is its.
        alive = (p for p in pods if not p.ended and not p.deleting and p.attempt == job.attempt)
        unclaimed = next(alive, None)
        claim = job.claim
        if claim is None or any(p.uid == claim.pod_uid for p in pods):
            memory.gone_since = None
        report = memory.report
        if report is not None and (claim is None or report.claim_id != claim.id):
            report = None
        around = self._surroundings
        creation = memory.creation
        refusal = memory.refusal(now)
        if refusal is None and creation is None:
            refusal = around.namespaces.refusal(job.namespace, job.uid, now)
        return Observed(
            job=job,
            pods=pods,
            factfile=memory.factfile or answers.factfile,
            host=answers.host,
            unfit=self._unfit(job, memory),
            place=self._place_of(job),
            mirrored=memory.mirrored,
            elsewhere=memory.elsewhere(now),
            absent=frozenset(answers.absent),
            gone_seconds=memory.gone_seconds(now),
            waited_seconds=memory.waited_seconds(now),
            creating_seconds=None if creation is None else now - creation.since,
            pending_seconds=memory.pending_seconds(unclaimed.uid, now) if unclaimed else 0.0,
            attempt_seconds=memory.attempt_seconds(job.attempt, now) if unclaimed else 0.0,
            pending_limit=around.pending_limit,
            running_seconds=memory.running_seconds(unclaimed, now) if unclaimed else 0.0,
            heard=unclaimed is not None and memory.heard == unclaimed.uid,
            told_seconds=memory.told_seconds(now),
            told_reasons=memory.told_reasons,
            may_tell=around.allowance.is_left(now),
            report=report,
            final_seconds=memory.final_seconds(now),
            progress_due=memory.is_progress_due(now),
            refusal=refusal,
            results=answers.results,
            name_taken=memory.name_taken == (job.attempt, job.launch),
            is_surplus=around.jobs_kept.is_surplus(job.uid),
            has_surplus_pods=around.pods_kept.is_surplus(job.uid),
        )

    def _unfit(self, job: FactotumJob, memory: JobMemory) -> str:
        """Say what a job's template may not ask for; it cannot be changed, so once."""
        if memory.unfit is None:
            memory.unfit = judging.objection(job.spec, self._surroundings.template_bounds)
        return memory.unfit

    def _place_of(self, job: FactotumJob) -> Place | None:
        """Return where a job stands, and whom it waits for by name."""
        place = self._slots.place(job.uid)
        if not isinstance(place, Waits):
            return place
        rivals = [self._rival(uid) for uid in islice(self._slots.rivals(job.uid), _RIVALS)]
        # One that is at work counts for more than one whose Pod only ends.
        return replace(place, rival=min(rivals, key=lambda rival: rival.is_over, default=None))

    def _rival(self, uid: JobUid) -> Rival:
        has_id = self._slots.has_id(uid)
        job = self._cache.jobs.get(uid)
        if job is not None:
            who = f"the Pod of job {job.name}" if job.is_done else f"job {job.name}"
            return Rival(who=who, is_over=job.is_done, has_id=has_id)
        pod = next(iter(self._cache.pods_labelled(uid)), None)
        who = "a deleted job" if pod is None else f"Pod {pod.name} of a deleted job"
        return Rival(who=who, is_over=True, has_id=has_id)

    def _pods_of(self, job: FactotumJob, memory: JobMemory, now: float) -> tuple[PodView, ...]:
        pods = self._cache.pods_of(job)
        claim = job.claim
        if claim is None or any(pod.uid == claim.pod_uid for pod in pods):
            return pods
        sighted = memory.sighting(claim.pod_uid, now)
        return pods if sighted is None else (*pods, sighted)

    async def answer(
        self, ask: frozenset[Ask], job: FactotumJob, memory: JobMemory, answers: Answers
    ) -> None:
        """Find out what a decision asked for.

        Raises:
            KubeError: the API server did not say.
        """
        if Ask.FACTFILE in ask:
            answers.factfile = await self.read_factfile(job, memory)
        if Ask.HOST in ask:
            answers.host = await hosts.resolve(
                job.host_constraint, self._cache.nodes.values(), self._resolver
            )
        if Ask.RESULTS in ask:
            answers.results = await self._live.whole_status(job)
        if Ask.CLAIMED_POD in ask and (claim := job.claim) is not None:
            pod = await self._live.pod(job.namespace, claim.pod_name, claim.pod_uid)
            now = self._clock.monotonic()
            if pod is not None:
                memory.sighted(pod, now)
                return
            answers.absent.add(claim.pod_uid)
            if memory.gone_since is None:
                memory.gone_since = now

    async def read_factfile(self, job: FactotumJob, memory: JobMemory) -> FactfileFact:
        """Return the factfile as accepted, reading it only once per job.

        Raises:
            KubeError: the API server did not say, and the job is claimed.
        """
        if memory.factfile is not None:
            return memory.factfile
        try:
            fact = await factfile.read(job, self._live)
        except errors.KubeError as exc:
            if job.claim is not None:
                raise  # its tasks' names are in it: nothing may go on without them
            message = f"the ConfigMap of the factfile cannot be read: {exc}"
            return Unreadable(reason=Reason.FACTFILE_UNREADABLE, message=message)
        if isinstance(fact, Unreadable):
            return fact
        if isinstance(fact, Plan):
            accepted = str(job.status.get("factfileHash", "")) or next(
                (p.factfile_hash for p in self._cache.pods_of(job) if p.factfile_hash), ""
            )
            if accepted and accepted != fact.digest:
                fact = factfile.changed(fact, accepted)
        if job.claim is None or isinstance(fact, Plan):
            memory.factfile = fact
        return fact
