"""The seam between the job service and whatever runs jobs.

Both sides speak ``views``: no table's row, no Kubernetes object crosses it.
Implementations: ``jobs.local`` and ``jobs.kubernetes``.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from factotum.jobs.views import (
    Change,
    JobDetail,
    JobPage,
    JobQuery,
    JobRequest,
    JobView,
    Load,
    LogPiece,
    LogQuery,
    Stranded,
)
from factotum.persistence.entries import Entry

CHANGES_AT_ONCE: Final = 100
"""Changes that ``watch`` takes from the backend's memory in one go."""
GATHER_SECONDS: Final = 0.05
"""How long ``watch`` waits after a change for those that come with it."""


class Backend(Protocol):
    """Keeps jobs and runs them. Any method may raise a ``BackendError``."""

    async def create(self, request: JobRequest) -> JobView:
        """Put a job into the queue; once this returns it is not lost any more.

        Raises:
            DuplicateJobError: one of its id has not ended, here or on another box.
            QueueFullError: there is no room in the queue.
            NoRoomError: there is none where it would be kept.
        """

    async def get(self, key: str) -> JobDetail:
        """Return a job.

        Raises:
            UnknownJobError: there is none of this key.
        """

    async def find(self, job_id: str) -> JobView | None:
        """Return the newest job of a job id."""

    async def entry(self, job_id: str) -> Entry | None:
        """Return the newest job of a job id in Factotum Server's form, whichever box has it.

        Raises:
            BadEntryError: what is stored there is no entry.
        """

    async def list(self, query: JobQuery) -> JobPage:
        """Return jobs, newest first."""

    def watch(self, since: int | None = None, key: str | None = None) -> AsyncIterator[Change]:
        """Tell of each job as it is after each change, for as long as somebody listens.

        Args:
            since: begin with what has changed after this ``Change.sequence``; None: with the
                next change, and for a single job with how it is now.
            key: of a single job; its changes come with its tasks.

        Raises:
            UnknownJobError: there is none of this key.
        """

    async def log(self, key: str, query: LogQuery) -> LogPiece:
        """Return a part of what a job's tasks have printed; there may be none yet.

        Raises:
            UnknownJobError: there is no such job, attempt or task.
        """

    async def resume(self, key: str) -> JobView:
        """Let a suspended job go on, or a failed one have another attempt.

        Tasks that have succeeded keep their result.

        Raises:
            UnknownJobError, NotPossibleError, DuplicateJobError
        """

    async def suspend(self, key: str) -> JobView:
        """Stop a job, or keep it from starting, until it is resumed.

        Raises:
            UnknownJobError, NotPossibleError
        """

    async def cancel(self, key: str) -> JobView:
        """Stop a job for good, or end it before its start: FAILED.

        Raises:
            UnknownJobError, NotPossibleError
        """

    def load(self) -> Load:
        """Return how busy it is; never waits for anything."""

    def stranded(self) -> Sequence[Stranded]:
        """Return jobs of boxes that are gone which cannot be run here; never waits for anything."""

    def sequence(self) -> int:
        """Return the newest ``Change.sequence``; never waits for anything."""
