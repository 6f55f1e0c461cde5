"""All that is known of a run when it is over, and what may be found in it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chaos.journal import Entry
from chaos.plan import Plan
from chaos.recording import Line


class Violation(NamedTuple):
    """Something that must not be."""

    kind: str
    subject: str
    detail: str


class Fresh(NamedTuple):
    """What came of fresh jobs that wait for each other: how many started together."""

    wanted: int
    together: int
    beyond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of a run.

    Attributes:
        jobs: the objects that are left, and so the Pods.
        told: by a job's name, each verdict of its status, in order.
        entries: of Consul, by job id.
    """

    plan: Plan
    jobs: Sequence[Mapping[str, Any]]
    pods: Sequence[Mapping[str, Any]]
    told: Mapping[str, Sequence[tuple[int, str, str, str]]]
    lines: Sequence[Line]
    journal: Sequence[Entry] = ()
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    log: str = ""
    fresh: Fresh | None = None
    still_running: Sequence[str] = ()
    peak_mebibytes: float = 0.0

    @property
    def by_name(self) -> dict[str, Mapping[str, Any]]:
        """The objects of the plan's jobs that are left."""
        left = {job["metadata"]["name"]: job for job in self.jobs}
        return {job.name: left[job.name] for job in self.plan.jobs if job.name in left}

    def hits(self, job: str) -> set[str]:
        """Give what was done to a job."""
        return {entry.kind for entry in self.journal if job in entry.jobs}


Found = Iterable[Violation]
