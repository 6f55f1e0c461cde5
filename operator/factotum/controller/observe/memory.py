"""What the controller remembers of a job between two looks at it.

All of it can be lost: a restarted controller finds it out again. Moments are
the clock's monotonic seconds, and passed in.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from factotum.controller.decide.unclaimed.starting import SLOW_START_SECONDS
from factotum.controller.facts.observed import Plan, PodRefusal, Refused
from factotum.controller.facts.pods import PodView
from factotum.core.wire.reports import Report

_MIN_PROGRESS_SECONDS: Final = 1.0
_PROGRESS_SHARE: Final = 20
"""A job's progress patches may take one part in this many of the time."""
_MAX_REFUSAL_SECONDS: Final = 60.0
_FIRST_DOUBT_SECONDS: Final = 0.25
_SIGHTING_SECONDS: Final = 4.0
"""How long a live read of a running Pod, which no watch shows, counts."""


class Creation(NamedTuple):
    """A request for a launch's Pod that is under way."""

    attempt: int
    launch: int
    since: float
    answer: "asyncio.Task[Any]"


@dataclass(slots=True)
class JobMemory:
    """Facts about one job that outlive one look.

    Attributes:
        factfile: what was read and accepted, or refused for good.
        unfit: what its ``podTemplate`` may not ask for; None: nobody looked.
        mirrored: its Consul entry was taken, or is to follow.
        caveat: what is to be told of that.
        report: the newest report of the claim's runner.
        gone_since: when the claim's Pod, or in the end the job itself, was found gone.
        gave_back: UID of the Pod for which the worker slot was given back.
        wants_back: UID of the Pod whose claim waits for a worker since.
        name_taken: attempt and launch whose Pod name is another's.
        failures: looks in a row that ended in an error.
        creation: the request that makes its Pod, while it is under way.
        heard: UID of the Pod whose runner has asked for the attempt.
        told_reasons: every reason to wait that the status was given.
    """

    factfile: Plan | Refused | None = None
    unfit: str | None = None
    mirrored: bool = False
    caveat: str = ""
    report: Report | None = None
    gone_since: float | None = None
    gave_back: str = ""
    wants_back: str = ""
    name_taken: tuple[int, int] | None = None
    failures: int = 0
    creation: "Creation | None" = None
    heard: str = ""
    told_reasons: frozenset[str] = frozenset()
    _unanswered_since: float | None = None
    _final: str = ""
    _final_since: float = 0.0
    _given_back: tuple[int, int] | None = None
    _first_look: float | None = None
    _attempt: int = 0
    _attempt_since: float = 0.0
    _running: str = ""
    _running_since: float = 0.0
    _refusal: PodRefusal | None = None
    _refusal_until: float = 0.0
    _refusals: int = 0
    _elsewhere: str = ""
    _elsewhere_until: float = 0.0
    _elsewhere_times: int = 0
    _pending: str = ""
    _pending_since: float = 0.0
    _told_at: float = -math.inf
    _progress_due: float = -math.inf
    _sighted: PodView | None = None
    _sighted_until: float = 0.0

    def hear(self, report: Report) -> None:
        """Take in a report, unless a newer one of the same runner is known."""
        known = self.report
        if known is None or known.claim_id != report.claim_id or known.sequence < report.sequence:
            self.report = report

    def next_attempt(self) -> None:
        """Forget what was said and done of the attempt before; the factfile is the same."""
        self.report = None
        self.mirrored = False
        self.caveat = ""
        self.told_reasons = frozenset()
        self.gone_since = None

    def pending_seconds(self, pod_uid: str, now: float) -> float:
        """Return how long this Pod has been known to be unclaimed."""
        if self._pending != pod_uid:
            self._pending, self._pending_since = pod_uid, now
        return now - self._pending_since

    def gone_seconds(self, now: float) -> float:
        """Return how long the claim's Pod has been known to be gone."""
        return 0.0 if self.gone_since is None else now - self.gone_since

    def told_seconds(self, now: float) -> float:
        """Return how long ago the status was last given a reason to wait."""
        return now - self._told_at

    def told(self, reason: str, now: float) -> None:
        """Note that the status was given a reason to wait."""
        self._told_at = now
        self.told_reasons |= {reason}

    def waited_seconds(self, now: float) -> float:
        """Return how long ago the job was first looked at."""
        if self._first_look is None:
            self._first_look = now
        return now - self._first_look

    def attempt_seconds(self, attempt: int, now: float) -> float:
        """Return for how long this attempt has had a Pod, this one or an earlier one."""
        if self._attempt != attempt:
            self._attempt, self._attempt_since = attempt, now
        return now - self._attempt_since

    def running_seconds(self, pod: PodView, now: float) -> float:
        """Return how long this Pod has been known to run unclaimed."""
        if pod.phase != "Running":
            return 0.0
        if self._running != pod.uid:
            self._running, self._running_since = pod.uid, now
        return now - self._running_since

    def final_seconds(self, now: float) -> float:
        """Return how long the final report of the claim's runner has been known."""
        report = self.report
        if report is None or not report.final:
            return 0.0
        if self._final != report.claim_id:
            self._final, self._final_since = report.claim_id, now
        return now - self._final_since

    def sighted(self, pod: PodView, now: float) -> None:
        """Note that a live read found a Pod."""
        self.gone_since = None
        self._sighted, self._sighted_until = pod, now + _SIGHTING_SECONDS

    def sighting(self, pod_uid: str, now: float) -> PodView | None:
        """Return what a live read showed of a Pod just now."""
        pod = self._sighted
        return pod if pod is not None and pod.uid == pod_uid and now < self._sighted_until else None

    def is_progress_due(self, now: float) -> bool:
        """Whether a progress patch may be sent now."""
        return now >= self._progress_due

    def patched(self, seconds: float, now: float) -> None:
        """Count a status patch that took so long."""
        self._progress_due = now + max(_MIN_PROGRESS_SECONDS, seconds * _PROGRESS_SHARE)

    def held_elsewhere(self, who: str, now: float) -> None:
        """Remember who else has the job by its Consul entry, for a growing time."""
        self._elsewhere = who
        self._elsewhere_times += 1
        self._elsewhere_until = now + min(_MAX_REFUSAL_SECONDS, 2.0**self._elsewhere_times)

    def elsewhere(self, now: float) -> str:
        """Return who else has the job, while that still counts."""
        return self._elsewhere if now < self._elsewhere_until else ""

    # --- the Pod's creation -------------------------------------------------------------

    def began(self, creation: "Creation", now: float) -> None:
        """Note that the Pod is asked for."""
        self.creation = creation
        self._given_back = None
        # It was asked for with a worker, which is kept for this Pod, whatever became of the last.
        self._unanswered_since = now

    def refused(self, refusal: PodRefusal, now: float) -> None:
        """Remember how the Pod was refused, for a growing time."""
        self._refusals += 1
        self._refusal = refusal
        first = 1.0 if refusal.is_answer else _FIRST_DOUBT_SECONDS
        self._refusal_until = now + min(_MAX_REFUSAL_SECONDS, first * 2.0**self._refusals)
        if refusal.is_answer:
            self._unanswered_since = None

    def accepted(self) -> None:
        """Forget every refusal: the Pod was taken."""
        self._refusal = None
        self._refusals = 0
        self._unanswered_since = None

    def is_launching(self, now: float) -> bool:
        """Whether the Pod may be there any moment: it was asked for just now, and nobody knows."""
        since = self._unanswered_since
        return since is not None and now - since < SLOW_START_SECONDS

    def gives_back(self, attempt: int, launch: int) -> None:
        """Note that the worker slot was given back before the Pod of a launch came."""
        if self._unanswered_since is not None:
            self._given_back = attempt, launch
            self._unanswered_since = None

    def has_given_back(self, pod: PodView) -> bool:
        """Whether the worker slot was given back for this Pod: its claim asks for one."""
        return self.gave_back == pod.uid or self._given_back == (pod.attempt, pod.launch)

    def refusal(self, now: float) -> PodRefusal | None:
        """Return the refusal that still counts."""
        if self._refusal is None or self._refusal.permanent:
            return self._refusal
        return self._refusal if now < self._refusal_until else None
