"""Who may run next: pure.

First come, first served, by creation time and then UID. Who cannot go yet, for
its job id or its namespace's limit, keeps its place and lets others by.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from factotum.kube.resource import Duplicates, FactotumJob, JobUid


class Key(NamedTuple):
    """What is a job's alone while it runs: its job id, within its namespace."""

    namespace: str
    job_id: str


class Waiting(NamedTuple):
    """A job that wants a worker, and its job id; compares by whose turn it is."""

    created: str
    uid: JobUid
    namespace: str = ""
    job_id: str = ""
    policy: str = Duplicates.QUEUE

    @classmethod
    def of(cls, job: FactotumJob, job_id: str) -> "Waiting":
        """Return what a job wants."""
        return cls(job.created, job.uid, job.namespace, job_id, job.duplicate_policy)

    @property
    def key(self) -> Key | None:
        """The job id it wants; None if that is nobody's."""
        return Key(self.namespace, self.job_id) if self.job_id else None

    @property
    def runs_beside(self) -> bool:
        """Whether it needs no job id for itself."""
        return self.policy == Duplicates.ALLOW or not self.job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may run, and wait.

    Attributes:
        workers: attempts that run at once.
        per_namespace: of them in one namespace; None: as many as there are.
        jobs: that wait before new ones are told that the queue is full.
    """

    workers: int
    per_namespace: int | None = None
    jobs: int = 1000


@dataclass(slots=True)
class Holders:
    """Who holds what, at one moment.

    Attributes:
        workers: the namespace of each job that has a worker.
        in_namespace: how many that are, by namespace.
        ids: who holds a job id: a reservation, an open claim, or a Pod of ours
            that has not ended.
    """

    workers: dict[JobUid, str] = field(default_factory=dict)
    in_namespace: Counter[str] = field(default_factory=Counter)
    ids: Mapping[Key, Collection[JobUid]] = field(default_factory=dict)

    def is_full(self, namespace: str, limits: Limits, *, more: int = 0) -> bool:
        """Whether a namespace has as many workers as it may, with so many more."""
        most = limits.per_namespace
        return most is not None and self.in_namespace[namespace] + more >= most


def admit(queue: Iterable[Waiting], holders: Holders, limits: Limits) -> list[Waiting]:
    """Return who gets a worker and its job id now.

    Args:
        queue: who waits, in the order of their turns. No further than needed
            is looked at.
        holders: who has them already. Nobody loses anything, whoever comes.
        limits: how many may.
    """
    free = limits.workers - len(holders.workers)
    admitted: list[Waiting] = []
    per_namespace = Counter[str]()
    taken: set[Key] = set()
    if free <= 0:
        return admitted
    for waiting in queue:
        namespace, key = waiting.namespace, waiting.key
        if holders.is_full(namespace, limits, more=per_namespace[namespace]):
            continue
        if key is not None and not waiting.runs_beside:
            having = holders.ids.get(key, ())
            if waiting.uid not in having and (having or key in taken):
                continue
        admitted.append(waiting)
        per_namespace[namespace] += 1
        if key is not None:
            taken.add(key)
        if len(admitted) == free:
            break
    return admitted
