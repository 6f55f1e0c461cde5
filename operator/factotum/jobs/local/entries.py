"""Factotum Server's entries of our jobs: made of the file of jobs alone, or kept in Consul, too."""

import json
from collections.abc import Callable
from typing import Protocol

from factotum.jobs.local.store.ledger import Ledger
from factotum.jobs.local.store.rows import Row
from factotum.persistence.entries import Entry, EntryOutcome, EntryState, JobRequest


class Entries(Protocol):
    """Keeps entries."""

    async def start(self, ledger: Ledger) -> None:
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

    def note(self, row: Row) -> None:
        """Know of a job's change; never waits."""

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

    async def start(self, ledger: Ledger) -> None:
        """Know the jobs."""
        self._ledger = ledger

    async def stop(self) -> None:
        """Nothing is left to do."""

    async def take(self, row: Row, check_room: Callable[[], None]) -> None:  # noqa: ARG002 - the protocol's
        """Nobody else can have it."""
        check_room()

    def note(self, row: Row) -> None:
        """Nothing is kept."""

    async def entry(self, job_id: str) -> Entry | None:
        """Return the entry of a job id."""
        assert self._ledger is not None, "it was started"  # noqa: S101 - for mypy
        row = self._ledger.find(job_id.removeprefix(self._prefix))
        return None if row is None else entry_of(row, self._name)
