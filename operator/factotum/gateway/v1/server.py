"""How the server itself is, as v1 shows it: how busy, and which jobs it has to leave alone."""

from collections.abc import Sequence
from typing import Final, Self

from pydantic import Field

from factotum import __version__
from factotum.gateway.v1.models import Value
from factotum.jobs.service import JobService
from factotum.jobs.views import Stranded

_MOST: Final = 100


class StrandedJob(Value):
    """A job that waits for its box, which is gone."""

    job_id: str
    name: str
    host: str = Field(description="The machine of its box.")
    why: str = Field(description="Why it cannot be run here.")


class ServerState(Value):
    """How the server is."""

    version: str
    draining: bool
    workers: int
    active: int
    waiting: int
    max_waiting: int
    sequence: int
    stranded: list[StrandedJob] = Field(
        description="Jobs that wait for boxes that are gone, since this one cannot run them; at"
        f" most {_MOST}, the first of each box's queue first."
    )
    stranded_total: int = Field(description="How many of them there are.")

    @classmethod
    def of(cls, service: JobService) -> Self:
        """Show a server; waits for nothing."""
        load, stranded = service.load(), service.stranded()
        return cls(
            version=__version__,
            draining=service.draining,
            workers=load.workers,
            active=load.active,
            waiting=load.waiting,
            max_waiting=load.max_waiting,
            sequence=service.sequence(),
            stranded=_shown(stranded[:_MOST]),
            stranded_total=len(stranded),
        )


def _shown(jobs: Sequence[Stranded]) -> list[StrandedJob]:
    return [
        StrandedJob(job_id=job.job_id, name=job.name, host=job.host, why=job.why) for job in jobs
    ]
