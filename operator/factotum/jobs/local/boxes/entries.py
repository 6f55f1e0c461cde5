"""Entries in Consul that several boxes share: each job has a claim, which says whose it is.

Claim and entry are written together, so that nobody sees one without the other. A
job is begun by a write as well: until its claim says ``launched`` another box may
have taken it over, and afterwards none will run it of its own accord. So what was
claimed is begun only while Consul answers. What was accepted while it did not is
nobody else's business, and runs at once.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from factotum.jobs.checking.own import INLINE
from factotum.jobs.errors import BackendError, DuplicateJobError, UnknownJobError
from factotum.jobs.local.boxes.claiming import Claiming
from factotum.jobs.local.boxes.claims import Keys, Loss, Phase
from factotum.jobs.local.boxes.membership import Membership
from factotum.jobs.local.boxes.records import Found, Records
from factotum.jobs.local.consul_entries import ConsulEntries
from factotum.jobs.local.entries import Keeper, OwnEntries, Start, entry_of
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.local.store.ledger import Ledger
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import Stranded
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import Entry, EntryState
from factotum.persistence.errors import StoreConflictError, StoreError, StoreUnreachableError
from factotum.persistence.sessions import Sessions, deleted, holds

logger = logging.getLogger(__name__)

TTL_SECONDS: Final = 10.0
"""Consul allows no less; it waits for twice as long before it says that a box is gone."""
_TRIES: Final = 5
_FIRST_SECONDS: Final = 3.0


class SharedEntries(ConsulEntries):
    """Implements ``Entries`` for one box of several.

    Args:
        store: Consul.
        own: tells of our own jobs while Consul does not answer.
        name: of this server.
        prefix: of the keys.
        settings: of the backend: its folder says which box this is.
        ttl_seconds: how long this box is thought alive without a word of it, at least.
        secret: what boxes that trust each other know; empty: whoever writes to Consul is trusted.
    """

    def __init__(
        self,
        store: ConsulStore,
        own: OwnEntries,
        name: str,
        prefix: str,
        *,
        settings: LocalSettings,
        ttl_seconds: float = TTL_SECONDS,
        secret: str = "",
    ) -> None:
        super().__init__(store, own, name, prefix)
        self.sessions = Sessions(store)
        self.keys = Keys(self._prefix)
        self.records = Records(self._get, self.sessions, self.keys, self._key, self.resting)
        self.membership = Membership(
            self.sessions, self.keys, settings.folder, name=name, ttl_seconds=ttl_seconds
        )
        self.claiming = Claiming(
            self.membership,
            name,
            lambda factfile_hash: self.ledger.factfile(factfile_hash),
            resumes=settings.resumes,
            secret=secret,
        )
        self.name: Final = name
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rows: dict[str, Row] = {}
        self._wanted: dict[str, tuple[Entry, Phase | None, str]] = {}
        self._private: set[int] = set()
        """Jobs that were accepted without Consul: nobody else knows of them."""
        self._inherited: set[int] = set()
        """Jobs of an earlier server, whose entries may be from before there were claims."""
        self._lost: set[int] = set()
        self.left_alone: dict[str, Stranded] = {}
        """By job id, jobs of boxes that are gone which this one cannot run."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_renewed: Callable[[], None] = lambda: None

    async def start(self, ledger: Ledger, keeper: Keeper) -> None:
        """Live, find out what was lost, and bring the entries level."""
        self.ledger = ledger
        self.keeper = keeper
        self._inherited = set(ledger.open)
        self.membership.start(self._settle, self._renewed)
        # What is found to be lost must not end otherwise before.
        await self.membership.tried(_FIRST_SECONDS)
        await super().start(ledger, keeper)

    def when_renewed(self, call: Callable[[], None]) -> None:
        """Have somebody told whenever this box has seen the others."""
        self._on_renewed = call

    async def stop(self) -> None:
        """Write what can be written at once; the session runs out by itself."""
        await self.membership.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await super().stop()

    def _renewed(self) -> None:
        self.keeper.go_on()
        self._on_renewed()

    # --- what was lost -----------------------------------------------------------------------

    async def _settle(self) -> None:
        """Give up what others have taken from this box while it was away."""
        found = await self.sessions.tree(self.keys.losses(self.membership.box))
        losses = []
        for path, held in found.items():
            number, loss = path.rpartition("/")[2], Loss.parse(held.value)
            if loss is not None and number.isdecimal():
                losses.append(self._lose(int(number), loss.job_id, loss.sentence))
        for error in await asyncio.gather(*losses, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error
        # Consul may have lost what it had of the others.
        for row in tuple(self._rows.values()):
            self.note_again(row)

    async def _lose(self, key: int, job_id: str, text: str) -> None:
        """Give a job up: nothing is said of it to Consul from now on."""
        self._lost.add(key)
        self._private.discard(key)
        newest = self._rows.get(job_id)
        if newest is not None and newest.key == key:
            self._forget(job_id)
        row = self.ledger.open.get(key)
        if row is None or row.job_id != job_id or row.is_done:
            self._bury(key)
            return
        logger.warning("job %s is given up: %s", job_id, text)
        await self.keeper.lose(key, text)

    def _bury(self, key: int) -> None:
        """Remove the word of a loss that was heeded; if that fails it is heeded again."""
        task = asyncio.create_task(self._remove_loss(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _remove_loss(self, key: int) -> None:
        with suppress(StoreError, BackendError):
            with suppress(UnknownJobError):
                row = self.ledger.get(str(key))
                if row.is_done:
                    await self.ledger.told(row)  # no later server is to tell its end either
            await self.sessions.transact(deleted(self.keys.loss(self.membership.box, key)))

    def _forget(self, job_id: str) -> None:
        self._unwritten.pop(job_id, None)
        self._ends.pop(job_id, None)
        self._written.pop(job_id, None)
        self._rows.pop(job_id, None)
        self._wanted.pop(job_id, None)

    # --- taking ------------------------------------------------------------------------------

    async def take(self, row: Row, check_room: Callable[[], None]) -> None:
        """Make a job ours, or find out whose it is (see ``Entries.take``)."""
        self.membership.check_copy()
        await self.membership.tried(_FIRST_SECONDS)
        queued = entry_of(row, self._name)
        async with self._turn(row.job_id):
            for _ in range(_TRIES):
                try:
                    found = await self.records.look(row.job_id)
                except StoreError as error:
                    self._complain_of_reading(row.job_id, error)
                    found = None
                if found is not None:
                    self._respect_claim(row.job_id, found)
                check_room()
                self._lost.discard(row.key)
                if found is None or not self.membership.is_in:
                    self._private.add(row.key)
                    return
                # An earlier loss of a job that is resumed is settled by that.
                settled = deleted(self.keys.loss(self.membership.box, row.key))
                try:
                    claim = self.claiming.make(row, Phase.WAITING)
                    await self.records.take(row.job_id, found, claim, queued, settled)
                except StoreConflictError:
                    continue
                except StoreError as error:
                    self._complain_of_writing(self._key(row.job_id), queued, error)
                    return
                self._forget(row.job_id)  # an earlier job of this id has nothing to say any more
                self.know(row, queued)
                return
        raise DuplicateJobError(row.job_id)

    def _respect_claim(self, job_id: str, found: Found) -> None:
        if not found.is_claimed:
            self._respect(job_id, found.entry)
            return
        if found.claim is None or found.claim.box != self.membership.box:
            raise DuplicateJobError(job_id)
        if found.is_foreign(self._name):
            raise DuplicateJobError(job_id)

    def _turn(self, job_id: str) -> asyncio.Lock:
        """Return what keeps our own writes of one job apart."""
        return self._turns.setdefault(job_id, asyncio.Lock())

    # --- beginning ---------------------------------------------------------------------------

    async def begin(self, row: Row) -> Start:
        """Make sure that nobody else begins a job (see ``Entries.begin``)."""
        try:
            async with self._turn(row.job_id):
                for _ in range(_TRIES):
                    with suppress(StoreConflictError):
                        return await self._begin(row)
        except StoreError as error:
            if row.key in self._private:
                return Start.NOW
            logger.info("job %s waits: %s", row.job_id, error)
            # What was sent may have arrived after all.
            self.note_again(row)
        return Start.LATER

    async def _begin(self, row: Row) -> Start:
        is_alone = row.key in self._private
        if row.key in self._lost:
            return Start.NEVER
        found = await self.records.look(row.job_id)
        if await self._whose(row, found):
            return Start.NEVER
        if not self.membership.is_in:
            return Start.NOW if is_alone and not found.is_claimed else Start.LATER
        lives = holds(self.keys.box(self.membership.box), self.membership.session)
        entry = entry_of(row, self._name)
        claim = self.claiming.make(row, Phase.LAUNCHED)
        await self.records.write(row.job_id, found, claim, entry, lives)
        self.claiming.begun.add(row.key)
        self._private.discard(row.key)
        if self._rows.get(row.job_id, row) is row:  # else an order came meanwhile
            self.know(row, entry)
        return Start.NOW

    async def _whose(self, row: Row, found: Found) -> str:
        """Find out who else has a job, which is given up then; empty: nobody."""
        text = ""
        if found.claim is not None and found.claim.box == self.membership.box:
            if found.is_foreign(self._name) and row.key not in self.claiming.begun:
                text = "another Factotum Server has it"
                await self.records.write(row.job_id, found, None, None)
        elif found.is_claimed:
            text = f"the box on {found.claim.host} has it" if found.claim else "another box has it"
        else:
            loss = await self._get(self.keys.loss(self.membership.box, row.key))
            known = Loss.parse(loss.value) if loss.value else None
            if known is not None and known.job_id == row.job_id:
                text = known.sentence
            elif not (row.key in self.claiming.begun or found.is_free(self._inherited_entry(row))):
                text = "another Factotum Server has it"
        if text:
            await self._lose(row.key, row.job_id, text)
        return text

    def _inherited_entry(self, row: Row) -> Entry | None:
        return entry_of(row, self._name) if row.key in self._inherited else None

    def may_start(self, row: Row) -> bool:
        """Whether a runner may have a job: not while others may think that this box is gone."""
        return row.key in self._private or self.membership.is_in

    # --- writing behind ----------------------------------------------------------------------

    def note(self, row: Row) -> None:
        """Write a job's change, soon and in order."""
        job_id = row.job_id
        if row.key in self._lost or row.reason == Reason.DUPLICATE:
            self._lost.add(row.key)
            if row.is_done:
                self._bury(row.key)
            return
        self._note_end(row)
        if row.state == JobState.QUEUED:
            self.claiming.begun.discard(row.key)
        wanted = self.claiming.sight(row, entry_of(row, self._name))
        self._rows[job_id] = row
        if self._wanted.get(job_id) != wanted:
            self._wanted[job_id] = wanted
            self._push(job_id, wanted[0])

    def know(self, row: Row, entry: Entry) -> None:
        """Remember what was written at once."""
        self._rows[row.job_id] = row
        self._written[row.job_id] = entry
        if row.factfile_path != INLINE:
            self._wanted[row.job_id] = self.claiming.sight(row, entry)

    async def _write(self, path: str, job_id: str, entry: Entry) -> None:  # noqa: ARG002 - the other one's
        async with self._turn(job_id):
            row = self._rows.get(job_id)
            if row is None or row.key in self._lost:
                return
            found = await self.records.look(job_id)
            try:
                if await self._whose(row, found):
                    return
            except BackendError as error:
                raise StoreUnreachableError(str(error)) from error  # said again later
            if not found.is_claimed and not row.is_done and not self.membership.is_in:
                raise StoreUnreachableError("this box is not among the others yet")
            is_over = entry.state == EntryState.DONE
            claim = (
                None
                if is_over
                else self.claiming.make(row, self.claiming.phase(row) or Phase.LAUNCHED)
            )
            # A server that knows no claims, and has overwritten our entry, tells of the job.
            told = None if found.is_foreign(self._name) else entry
            await self.records.write(job_id, found, claim, told)
            self._private.discard(row.key)
            if is_over:
                self.claiming.begun.discard(row.key)
                if self._rows.get(job_id) is row:
                    self._rows.pop(job_id)
                    self._wanted.pop(job_id, None)

    def is_being_written(self, job_id: str) -> bool:
        """Whether something of a job waits to be written."""
        return job_id in self._writers

    def stranded(self) -> Sequence[Stranded]:
        """Return jobs of boxes that are gone (see ``Entries.stranded``)."""
        return tuple(self.left_alone.values())

    def note_again(self, row: Row) -> None:
        """Write a job's present state whatever was written of it before."""
        self._wanted.pop(row.job_id, None)
        self.note(row)

    # --- looking up --------------------------------------------------------------------------

    async def entry(self, job_id: str) -> Entry | None:
        """Return the entry of a job id, whichever box's it is (see ``Entries.entry``)."""
        path = self.path(job_id)
        bare = job_id if path is None else path.rpartition("/")[2]
        row = self._rows.get(bare)
        if row is not None and row.key in self._private:
            return await self._own.entry(bare)
        return await super().entry(job_id)

    async def _claimed(self) -> Collection[str]:
        found = await self.sessions.tree(self.keys.claims)
        return {path.rpartition("/")[2] for path in found}
