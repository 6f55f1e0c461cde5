"""Factotum Server's entry of a job: made of its FactotumJob, and of Consul's once that is gone."""

import logging
import re
from typing import Final, Protocol

from factotum.jobs.errors import BadEntryError
from factotum.jobs.kubernetes.objects.records import Record
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.kubernetes.shelf import Shelf
from factotum.persistence.consul import StoredValue
from factotum.persistence.entries import (
    Entry,
    EntryOutcome,
    EntrySettings,
    EntryState,
    JobKey,
    JobRequest,
)
from factotum.persistence.errors import StoreError

logger = logging.getLogger(__name__)

_JOB_ID: Final = re.compile(r"[0-9a-f]{64}")


class Reading(Protocol):
    """What is asked of the store that the operator mirrors jobs to."""

    async def get(self, path: str) -> StoredValue:
        """Read one key."""


class Entries:
    """Finds entries.

    Args:
        settings: where.
        shelf: the jobs that are known.
        store: the operator's mirror; None: there is none.
        keys: under which keys it is kept.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        shelf: Shelf,
        store: Reading | None,
        keys: EntrySettings,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._store = store
        self._keys = keys

    async def find(self, job_id: str) -> Entry | None:
        """Return the entry of a job id (see ``Backend.entry``)."""
        digits = job_id.removeprefix(f"{self._settings.key_prefix}/")
        if not _JOB_ID.fullmatch(digits):
            return None  # no other key is anybody's business
        record = self._shelf.newest(digits)
        if record is not None:
            return self._entry_of(record)
        if self._store is None:
            return None
        path = self._keys.key_path(JobKey(self._settings.namespace, digits))
        try:
            stored = await self._store.get(path)
        except StoreError as error:
            logger.info("%s", error)
            logger.error("Persistence Error: could not get key: %s", digits)  # noqa: TRY400 - the original's words
            return None
        if not stored.value:
            return None
        entry = Entry.parse(stored.value)
        if entry is None:
            raise BadEntryError(f"what is stored for id='{job_id}' is no job entry")
        return entry

    def _entry_of(self, record: Record) -> Entry:
        view = record.view
        return Entry(
            state=EntryState(view.state),
            request=JobRequest(
                job_id=view.job_id,
                job_name=view.name,
                factfile_path=view.factfile_path,
                factfile_args=record.args,
            ),
            last_run_from=self._settings.name,
            last_outcome=EntryOutcome(view.outcome),
        )
