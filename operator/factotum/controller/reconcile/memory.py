"""What the controller remembers of a job between two looks at it.

All of it can be lost: a restarted controller finds it out again.
"""

import asyncio
import time
from dataclasses import dataclass, field

from factotum.controller.facts.observed import Plan, PodRefusal, Refused
from factotum.core.wire.reports import Report

_MIN_PROGRESS_SECONDS = 1.0
_PROGRESS_SHARE = 20
"""A job's progress patches may take one part in this many of the time."""


@dataclass(slots=True)
class JobMemory:
    """Facts about one job that outlive one look, and its lock.

    Attributes:
        lock: whoever writes the job's status or Pods holds it.
        factfile: what was read and accepted, or refused for good.
        mirrored: its Consul entry was taken.
        refusal: how its last Pod was refused, until ``refusal_until``.
        report: the newest report of the claim's runner.
        gone_since: when the claim's Pod was found gone.
        pending_since: when the unclaimed Pod was first seen.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    factfile: Plan | Refused | None = None
    mirrored: bool = False
    refusal: PodRefusal | None = None
    refusal_until: float = 0.0
    refusals: int = 0
    report: Report | None = None
    gone_since: float | None = None
    pending: str = ""
    pending_since: float = 0.0
    failures: int = 0
    _progress_due: float = 0.0

    def pending_seconds(self, pod_uid: str) -> float:
        """Return how long this Pod has been known to be unclaimed."""
        now = time.monotonic()
        if self.pending != pod_uid:
            self.pending, self.pending_since = pod_uid, now
        return now - self.pending_since

    def gone_seconds(self) -> float:
        """Return how long the claim's Pod has been known to be gone."""
        return 0.0 if self.gone_since is None else time.monotonic() - self.gone_since

    @property
    def progress_due(self) -> bool:
        """Whether a progress patch may be sent now."""
        return time.monotonic() >= self._progress_due

    def patched(self, seconds: float) -> None:
        """Count a status patch that took so long."""
        pause = max(_MIN_PROGRESS_SECONDS, seconds * _PROGRESS_SHARE)
        self._progress_due = time.monotonic() + pause

    def refused(self, refusal: PodRefusal) -> None:
        """Remember how the Pod was refused, for a growing time."""
        self.refusals += 1
        self.refusal = refusal
        self.refusal_until = time.monotonic() + min(60.0, 2.0**self.refusals)

    def current_refusal(self) -> PodRefusal | None:
        """Return the refusal that still counts."""
        if self.refusal is None or self.refusal.permanent:
            return self.refusal
        return self.refusal if time.monotonic() < self.refusal_until else None
