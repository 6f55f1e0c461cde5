"""The mirror as the rest of the controller knows it; and the one that does nothing."""

from typing import Protocol

from factotum.controller.mirror.source import HeldByOther, Taken, Unreachable
from factotum.kube.resource import FactotumJob


class Mirror(Protocol):
    """Follows the cache by itself; only this is asked of it."""

    async def take(self, job: FactotumJob, job_id: str) -> Taken | HeldByOther | Unreachable:
        """Write a job's entry before its Pod is created."""

    def owes(self, job: FactotumJob) -> bool:
        """Whether a job's end is still to be written: without the job nobody would know it."""

    def failure(self) -> str | None:
        """Return why it works no more, if it does not."""

    async def stop(self) -> None:
        """End, after writing what can be written at once."""


class NoMirror:
    """There is no Consul."""

    async def take(self, job: FactotumJob, job_id: str) -> Taken:  # noqa: ARG002 - Mirror
        """Have nothing to take."""
        return Taken()

    def owes(self, job: FactotumJob) -> bool:  # noqa: ARG002 - Mirror
        """Owe nothing."""
        return False

    def failure(self) -> str | None:
        """Never fail."""
        return None

    async def stop(self) -> None:
        """Have nothing to end."""
