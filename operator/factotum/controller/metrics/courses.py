"""How many jobs there are of each kind, and how long their steps take: heard from the cache.

Kept by differences: a change of one job costs the same, however many there
are. Of a job that is done only its kind is kept, of an unfinished one when
its steps were seen. Spans count only if both their ends were seen.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from factotum.controller.clock import Clock
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.pods import PodView
from factotum.controller.metrics.figures import Figures
from factotum.core.words.reasons import TABLE, Reason
from factotum.core.words.states import JobState, RunState
from factotum.kube.resource import FactotumJob, JobUid, parse_time

OTHER: Final = "Other"
"""A reason of Kubernetes' own: there are many, and some could be made up."""
_NEW: Final = ("NEW", RunState.WAITING)
_ODD: Final = ("OTHER", "OTHER")
_KINDS: Final = {
    kind: kind
    for kind in (
        (JobState.QUEUED, RunState.WAITING),
        (JobState.WORKING, RunState.RUNNING),
        (JobState.DONE, RunState.SUCCEEDED),
        (JobState.DONE, RunState.FAILED),
        _NEW,
        _ODD,
    )
}
_WAITING: Final = [reason for reason, row in TABLE.items() if row.state == JobState.QUEUED]


@dataclass(slots=True)
class _Course:
    """What was seen of an unfinished job, by the clock's monotonic seconds.

    Attributes:
        since: when it was first seen; None if it was there before us, or has had its first Pod.
        waits_since: when it began to wait for a worker.
        pod_since: when the Pod of this launch was seen.
        claimed: attempt and launch that were claimed; the moment is ``claimed_at``.
        waits: the reason it waits for.
    """

    since: float | None
    waits_since: float | None = None
    pod: str = ""
    pod_since: float | None = None
    claim: str = ""
    claimed_at: float | None = None
    started: str = ""
    waits: str = ""


class Courses:
    """Subscribes to the cache; is a collector of the registry."""

    def __init__(self, figures: Figures, cache: Cache, clock: Clock) -> None:
        self._figures = figures
        self._cache = cache
        self._clock = clock
        self._kind_of: dict[JobUid, tuple[str, str]] = {}
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._waiting: Counter[str] = Counter()
        self._courses: dict[JobUid, _Course] = {}
        self._is_begun = False
        self._finished = {
            (outcome, reason): figures.finished.labels(outcome, reason)
            for reason, row in (*TABLE.items(), (OTHER, None))
            for outcome in (RunState.SUCCEEDED, RunState.FAILED)
            if row is None or (row.state, row.outcome) == (JobState.DONE, outcome)
        }
        self._run = {o: figures.run.labels(o) for o in (RunState.SUCCEEDED, RunState.FAILED)}
        figures.registry.register(self)

    def begin(self) -> None:
        """Say that whatever comes from now on is new."""
        self._is_begun = True

    # --- Subscriber -------------------------------------------------------------------

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:
        """Count a job anew, and note the step that it took."""
        before = self._kind_of.get(job.uid)
        if is_gone:
            self._leave(job.uid, before)
            return
        kind = _kind(job)
        if kind != before:
            self._kind_of[job.uid] = kind
            self._kinds[kind] += 1
            if before is not None:
                self._kinds[before] -= 1
        if job.is_done:
            self._end(job)
            return
        course = self._courses.get(job.uid)
        if course is None:
            now = self._clock.monotonic()
            course = self._courses[job.uid] = _Course(
                now if self._is_begun and kind is _NEW else None
            )
        self._step(job, course)

    def pod_changed(self, pod: PodView) -> None:
        """Note when a launch's Pod was first seen."""
        course = self._courses.get(pod.job_uid)
        if course is None or course.pod == pod.uid or pod.deleting or pod.ended:
            return
        job = self._cache.jobs.get(pod.job_uid)
        if job is None or not pod.belongs_to(job) or pod.launch != job.launch:
            return
        now = self._clock.monotonic()
        course.pod = pod.uid
        course.pod_since = now if self._is_begun and not course.claim else None
        if course.since is not None:
            waited = 0.0 if course.waits_since is None else now - course.waits_since
            self._figures.pod_after.observe(now - course.since)
            self._figures.waited.observe(waited)
            course.since = None

    def _step(self, job: FactotumJob, course: _Course) -> None:
        waits = _waits_for(job)
        if waits != course.waits:
            self._wait(course, waits)
            if waits == Reason.WAITING_FOR_WORKER and course.waits_since is None:
                course.waits_since = self._clock.monotonic()
        claim = str((job.status.get("claim") or {}).get("id", ""))
        if claim == course.claim:
            return
        course.claim, course.claimed_at = claim, None
        course.started = str(job.status.get("startTime") or "")
        if claim and self._is_begun:
            course.claimed_at = self._clock.monotonic()
            if course.pod_since is not None:
                self._figures.claim_after.observe(course.claimed_at - course.pod_since)
            course.pod_since = None

    def _wait(self, course: _Course, reason: str) -> None:
        if course.waits:
            self._waiting[course.waits] -= 1
        course.waits = reason
        if reason:
            self._waiting[reason] += 1

    def _end(self, job: FactotumJob) -> None:
        course = self._courses.pop(job.uid, None)
        if course is None:
            return  # it was counted, or ended before us
        self._wait(course, "")
        outcome = str(job.status.get("outcome"))
        reason = job.reason if (outcome, job.reason) in self._finished else OTHER
        finished = self._finished.get((outcome, reason))
        if finished is None:
            return  # somebody wrote that status who has no right to
        finished.inc()
        if course.claimed_at is not None:
            self._run[outcome].observe(self._clock.monotonic() - course.claimed_at)
            return
        # It was claimed before we came: by what stands in its status.
        began, ended = parse_time(course.started), parse_time(job.status.get("completionTime"))
        if course.claim and began is not None and ended is not None:
            self._run[outcome].observe(max(0.0, (ended - began).total_seconds()))

    def _leave(self, uid: JobUid, kind: tuple[str, str] | None) -> None:
        if kind is not None:
            self._kinds[kind] -= 1
            del self._kind_of[uid]
        course = self._courses.pop(uid, None)
        if course is not None:
            self._wait(course, "")

    # --- collector --------------------------------------------------------------------

    def describe(self) -> Iterator[Metric]:
        """Name what is told, without a look at it."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Tell how many jobs there are; walks kinds and reasons, no jobs."""
        jobs = GaugeMetricFamily(
            "factotum_jobs", "FactotumJobs that exist.", labels=("state", "outcome")
        )
        for kind in _KINDS:
            jobs.add_metric(kind, self._kinds[kind])
        waiting = GaugeMetricFamily(
            "factotum_jobs_waiting",
            "Jobs that wait, by the reason in their status.",
            labels=["reason"],
        )
        for reason in (*_WAITING, OTHER):
            waiting.add_metric([reason], self._waiting[reason])
        yield jobs
        yield waiting


def _kind(job: FactotumJob) -> tuple[str, str]:
    if not job.state:
        return _NEW
    return _KINDS.get((job.state, str(job.status.get("outcome"))), _ODD)


def _waits_for(job: FactotumJob) -> str:
    if job.state != JobState.QUEUED or not job.reason:
        return ""
    row = TABLE.get(job.reason)
    return job.reason if row is not None and row.state == JobState.QUEUED else OTHER
