"""Between the mirror and the controller: what the one asks, and what the other is told."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from factotum.controller.mirror.rules import MirrorView
from factotum.persistence.entries import JobKey


class Taken(NamedTuple):
    """The entry is ours: go on."""


class HeldByOther(NamedTuple):
    """Another operator or server has this job queued or running."""

    last_run_from: str


class Unreachable(NamedTuple):
    """Consul does not answer: go on and say so; the entry follows later."""

    message: str


class JobSource(Protocol):
    """What the mirror asks the controller. Views are made from its caches, at once."""

    def views(self, key: JobKey) -> Sequence[MirrorView]:
        """Return the jobs of one key that its entry may speak of.

        The unfinished ones, those whose Pod is still ending, and the one that
        completed last.
        """

    def calls(self, key: JobKey, label: str) -> bool:
        """Whether a job of a key exists that its entry calls so."""

    def keys(self) -> Iterable[JobKey]:
        """Return every key that has jobs."""

    async def read(self, key: JobKey, name: str) -> MirrorView | None:
        """Read live the job of a key and an object's name; None only if it surely is not there."""

    async def named(self, key: JobKey, job_name: str) -> MirrorView | None:
        """Read live the job of a key that its entry calls so; None as with ``read``."""

    async def pod_lives(self, key: JobKey) -> bool:
        """Whether a Pod of ours of that job id has not ended; raises if that is unknown."""
