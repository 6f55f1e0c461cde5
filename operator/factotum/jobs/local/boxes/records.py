"""A job's claim and its entry in Consul: read and written together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from factotum.jobs.errors import RefusedByPolicyError
from factotum.jobs.local.boxes.claims import Claim, Keys
from factotum.persistence.consul import StoredValue
from factotum.persistence.entries import Entry, EntryState
from factotum.persistence.errors import StoreRefusedError
from factotum.persistence.sessions import Operation, Sessions, removed, swap, unchanged

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What Consul has of a job."""

    claim: Claim | None
    claim_revision: int
    """0: there is none."""
    entry: StoredValue

    @property
    def is_claimed(self) -> bool:
        """Whether there is a claim, be it one that nobody understands."""
        return self.claim_revision != 0

    def is_foreign(self, name: str) -> bool:
        """Whether a server of another name, which knows no claims, has the job.

        It has overwritten the entry then, since none looks for others between reading and writing.
        """
        entry = Entry.parse(self.entry.value) if self.entry.value else None
        return entry is not None and entry.state != EntryState.DONE and entry.last_run_from != name

    def is_free(self, own: Entry | None) -> bool:
        """Whether an entry without a claim leaves the job to this box.

        Args:
            own: the entry that this box may have written before there were claims; None: none.
        """
        entry = Entry.parse(self.entry.value) if self.entry.value else None
        if entry is None or entry.state == EntryState.DONE:
            return True
        is_ours = own is not None and entry.last_run_from == own.last_run_from
        return own is not None and is_ours and entry.request == own.request


class Records:
    """Claims and entries.

    Args:
        get: reads a key.
        sessions: of Consul.
        keys: where claims are.
        entry_key: says where a job's entry is.
        resting: what requests are made within.
    """

    def __init__(
        self,
        get: Callable[[str], Awaitable[StoredValue]],
        sessions: Sessions,
        keys: Keys,
        entry_key: Callable[[str], str],
        resting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._get = get
        self.sessions: Final = sessions
        self.keys: Final = keys
        self._entry_key = entry_key
        self._resting = resting

    async def look(self, job_id: str) -> Found:
        """Read what there is of a job."""
        claim, entry = await asyncio.gather(
            self._get(self.keys.claim(job_id)), self._get(self._entry_key(job_id))
        )
        return Found(Claim.parse(claim.value) if claim.value else None, claim.revision, entry)

    async def take(
        self, job_id: str, found: Found, claim: Claim, entry: Entry, *more: Operation
    ) -> None:
        """Write the claim of a job that is not accepted yet (see ``write``).

        Raises:
            RefusedByPolicyError: Consul will never take that: it would wait for ever.
        """
        try:
            await self.write(job_id, found, claim, entry, *more)
        except StoreRefusedError as error:
            raise RefusedByPolicyError(f"no other box could know of it: {error}") from None

    async def write(
        self, job_id: str, found: Found, claim: Claim | None, entry: Entry | None, *more: Operation
    ) -> None:
        """Write claim and entry, if both still are as they were found.

        Args:
            claim: None: it is over.
            entry: None: it stays as it is.
            more: conditions and changes that belong to it.

        Raises:
            StoreConflictError: something has changed.
        """
        operations = list(more)
        path, claim_path = self._entry_key(job_id), self.keys.claim(job_id)
        if claim is not None:
            operations.append(swap(claim_path, claim.to_json(), found.claim_revision))
        elif found.is_claimed:
            operations += removed(claim_path, found.claim_revision)
        else:
            operations.append(unchanged(claim_path, 0))
        payload = found.entry.value if entry is None else entry.to_json()
        if entry is None or payload == found.entry.value:
            operations.append(unchanged(path, found.entry.revision))
        else:
            logger.debug("Persist [%s]::[%s]", job_id, entry.state)
            operations.append(swap(path, payload, found.entry.revision))
        with self._resting():
            await self.sessions.transact(*operations)
