"""Factotum Server's entries of our jobs: made of the file of jobs alone, or kept in Consul, too."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from factotum.jobs.local.store.ledger import Ledger
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import JobRequest as Submitted
from factotum.jobs.views import Stranded
from factotum.persistence.entries import Entry, EntryOutcome, EntryState, JobRequest


class Start(Enum):
    """Whether a job may be begun."""

    NOW = 1
    LATER = 2
    """Somebody else might; ``Keeper.go_on`` says when it is worth another try."""
    NEVER = 3
    """Somebody else has it; ``Keeper.lose`` was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Another box's job.

    Attributes:
        request: as it was checked here.
        kept: the report whose results it begins with, JSON; None: it begins anew.
        is_suspended: whether it waits for its user's word.
        text: where it comes from, as a sentence.
    """

    request: Submitted
    kept: str | None
    is_suspended: bool
    text: str


class Keeper(Protocol):
    """Has the jobs, and does what follows from what other boxes have done."""

    async def lose(self, key: int, text: str) -> None:
        """Give up a job that is another box's business now.

        What runs of it is stopped, and the job has failed here whatever it comes to.

        Raises:
            BackendError: that cannot be kept now.
        """

    async def adopt(self, job: Adopted, seize: Callable[[Row], Awaitable[None]]) -> bool:
        """Put another box's job into the queue, unless there is one of its id, or no room.

        Args:
            seize: makes it ours; what it raises ends it.

        Raises:
            BackendError: it is ours, but cannot be kept now.
        """

    def go_on(self) -> None:
        """Begin what could not be begun."""


class Entries(Protocol):
    """Keeps entries."""

    async def start(self, ledger: Ledger, keeper: Keeper) -> None:
        """Begin; the jobs that have not ended are known."""

    async def stop(self) -> None:
        """Write what can be written at once, and end."""

    async def take(self, row: Row, check_room: Callable[[], None]) -> None:
        """Make a job ours before it is kept.

        Args:
            check_room: raises if there is none; asked once nothing else is in the way.

        Raises:
            DuplicateJobError: another box has it.
        """

    async def begin(self, row: Row) -> Start:
        """Make sure that nobody else begins a job, right before its runner is started."""

    def may_start(self, row: Row) -> bool:
        """Whether a runner may have a job that was begun; never waits."""

    def note(self, row: Row) -> None:
        """Know of a job's change; never waits."""

    def stranded(self) -> Sequence[Stranded]:
        """Return jobs of boxes that are gone which cannot be run here; never waits."""

    async def entry(self, job_id: str) -> Entry | None:
        """Return the entry of a job id.

        Raises:
            BadEntryError: what is stored there is none.
        """


def entry_of(row: Row, name: str) -> Entry:
    """Return a job's entry.

    Args:
        name: of this server (``--consul-name``).
    """
    return Entry(
        state=EntryState(row.state),
        request=JobRequest(
            job_id=row.job_id,
            job_name=row.name,
            factfile_path=row.factfile_path,
            factfile_args=tuple(json.loads(row.args)),
        ),
        last_run_from=name,
        last_outcome=EntryOutcome(row.outcome),
    )


class OwnEntries:
    """Entries made of the file of jobs: nobody else has any.

    Args:
        name: of this server.
        prefix: what a job id may begin with when it is looked up.
    """

    def __init__(self, name: str, prefix: str) -> None:
        self._name = name
        self._prefix = f"{prefix}/"
        self._ledger: Ledger | None = None

    async def start(self, ledger: Ledger, keeper: Keeper) -> None:  # noqa: ARG002 - the protocol's
        """Know the jobs."""
        self._ledger = ledger

    async def stop(self) -> None:
        """Nothing is left to do."""

    async def take(self, row: Row, check_room: Callable[[], None]) -> None:  # noqa: ARG002 - the protocol's
        """Nobody else can have it."""
        check_room()

    async def begin(self, row: Row) -> Start:  # noqa: ARG002 - the protocol's
        """Nobody else can."""
        return Start.NOW

    def may_start(self, row: Row) -> bool:  # noqa: ARG002 - the protocol's
        """Nobody else can have it."""
        return True

    def note(self, row: Row) -> None:
        """Nothing is kept."""

    def stranded(self) -> Sequence[Stranded]:
        """There are no other boxes."""
        return ()

    async def entry(self, job_id: str) -> Entry | None:
        """Return the entry of a job id."""
        assert self._ledger is not None, "it was started"  # noqa: S101 - for mypy
        row = self._ledger.find(job_id.removeprefix(self._prefix))
        return None if row is None else entry_of(row, self._name)
