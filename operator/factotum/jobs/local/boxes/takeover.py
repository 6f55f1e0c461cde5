"""Sees to the jobs of boxes that are gone, and to those of this one that it has forgotten.

A job that waited is put into this box's queue, if its factfile is here and makes the
same job id; otherwise it is left to others, or to its box. One that may have run
is closed as failed, or taken up again where that is wished. Either happens in one
transaction that holds only if the box is still gone and the job as it was.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Protocol

from factotum.jobs.checking.own import INLINE
from factotum.jobs.errors import BackendError, SubmissionError, UnknownJobError
from factotum.jobs.local.boxes.claims import Claim, Fate, Loss, Phase
from factotum.jobs.local.boxes.entries import SharedEntries
from factotum.jobs.local.boxes.membership import Gone
from factotum.jobs.local.boxes.records import Found
from factotum.jobs.local.consul_entries import is_job_id
from factotum.jobs.local.entries import Adopted, Keeper, entry_of
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import JobRequest, Stranded, Submission
from factotum.persistence.entries import Entry, EntryState, StoredEntry
from factotum.persistence.errors import (
    StoreConflictError,
    StoreError,
    StoreUnreachableError,
)
from factotum.persistence.sessions import Operation, holds, put, removed, unchanged
from factotum.runner import host

logger = logging.getLogger(__name__)

_LOOKS: Final = 2
"""How many times within its patience a box looks at all claims."""
_TOO_LATE: Final = 2.0
"""How many times its patience it leaves to others what it cannot do itself."""

Check = Callable[[Submission, tuple[str, ...]], Awaitable[JobRequest]]


class Box(Keeper, Protocol):
    """This box's jobs."""

    def is_arriving(self, job_id: str) -> bool:
        """Whether a job of this id is being written."""


class Takeover:
    """Takes over. Belongs to one event loop.

    Args:
        entries: of this box.
        keeper: its jobs.
        check: finds out which job a submission is.
        patience_seconds: for how long a box must have been gone.
        resumes: whether what may have run is taken up again.
    """

    def __init__(
        self,
        entries: SharedEntries,
        keeper: Box,
        check: Check,
        *,
        patience_seconds: float,
        resumes: bool,
    ) -> None:
        self._entries = entries
        self._membership = entries.membership
        self._records = entries.records
        self._keeper = keeper
        self._check = check
        self._patience_seconds = patience_seconds
        self._resumes = resumes
        self._renewed = asyncio.Event()
        self._left: dict[str, Stranded] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._entries.when_renewed(self._renewed.set)
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            await self._renewed.wait()
            try:
                await self._look()
            except (StoreError, BackendError) as error:
                logger.info("jobs of other boxes cannot be looked at: %s", error)
            except Exception:
                logger.exception("unexpected")
            await asyncio.sleep(self._patience_seconds / _LOOKS)
            self._renewed.clear()

    async def _look(self) -> None:
        claims = await self._claims()
        self._membership.note_unknown({claim.box for claim in claims.values()})
        gone = self._membership.gone_for(self._patience_seconds)
        late = self._membership.gone_for(self._patience_seconds * _TOO_LATE)
        self._left = {}
        # The earlier in its queue, the sooner.
        for job_id, claim in sorted(claims.items(), key=lambda item: item[1].place):
            with _apart(job_id):
                if claim.box == self._membership.box:
                    await self._see_to_own(job_id, claim)
                elif claim.box in gone:
                    case = Case(self, job_id, claim.box, gone[claim.box])
                    await case.see_to(is_late=claim.box in late)
        await self._forget_boxes({claim.box for claim in claims.values()}, late)
        self._entries.left_alone = self._left

    async def _claims(self) -> dict[str, Claim]:
        """Return the claims there are, by job id; what else lies there is nobody's."""
        folder = f"{self._records.keys.claims}/"
        found = await self._records.sessions.tree(self._records.keys.claims)
        claims = {
            path.removeprefix(folder): claim
            for path, held in found.items()
            if (claim := Claim.parse(held.value)) is not None
        }
        return {job_id: claim for job_id, claim in claims.items() if is_job_id(job_id)}

    async def _see_to_own(self, job_id: str, claim: Claim) -> None:
        """See to a job that Consul says is here."""
        ledger = self._entries.ledger
        if self._keeper.is_arriving(job_id) or self._entries.is_being_written(job_id):
            return
        if ledger.holder(job_id) is not None:
            return
        try:
            row = ledger.get(str(claim.job))
        except UnknownJobError:
            row = None
        if row is not None and row.job_id == job_id:
            if row.is_done:  # a server ended before it could say so
                self._entries.note_again(row)
            return
        # A server ended between the claim and the file of jobs, or the file was lost.
        await Case(self, job_id, claim.box, None).see_to(is_late=True)

    async def _forget_boxes(self, busy: set[str], late: Mapping[str, Gone]) -> None:
        """Remove the keys of boxes that have nothing any more; they make them again."""
        for box, gone in late.items():
            if box not in busy and gone.revision:
                with contextlib.suppress(StoreConflictError):
                    key = self._records.keys.box(box)
                    await self._records.sessions.transact(*removed(key, gone.revision))

    # --- what a case needs -------------------------------------------------------------------

    async def request_of(self, job_id: str, claim: Claim, entry: StoredEntry) -> JobRequest | None:
        """Return a job as it would be accepted here; None: it is not the same here."""
        asked = entry.request
        own, appended = _split(asked.factfile_args)
        submission = Submission(
            name=asked.job_name,
            factfile=claim.factfile,
            factfile_path="" if claim.factfile is not None else asked.factfile_path,
            args=own,
        )
        problem = "what another run needs is only there"
        if not claim.is_sealed(self._entries.claiming.secret, asked):
            problem = "no box that knows this one's token has written that down"
        elif claim.is_whole and (claim.factfile is not None or asked.factfile_path != INLINE):
            try:
                request = await self._check(submission, appended)
            except SubmissionError as error:
                problem = str(error)
            else:
                problem = await self._find_difference(job_id, request)
                if not problem:
                    return replace(request, factfile_path=asked.factfile_path)
        left = Stranded(job_id=job_id, name=asked.job_name, host=claim.host, why=problem)
        self._left[job_id] = left
        if job_id not in self._entries.left_alone:
            logger.warning(
                "job %s of the box on %s, which is gone, cannot be run here: %s",
                *(job_id, claim.host, problem),
            )
        return None

    async def _find_difference(self, job_id: str, request: JobRequest) -> str:
        if request.job_id != job_id:
            return f"{request.factfile_path} is another job here"
        constraints = {} if request.options is None else request.options.constraints
        if "host" in constraints:
            problem = await asyncio.to_thread(host.find_mismatch, constraints["host"])
            return problem or ""
        return ""

    def forget(self, job_id: str) -> None:
        """Know of a job that waits for nobody any more."""
        self._left.pop(job_id, None)

    async def adopt(self, job: Adopted, seize: Callable[[Row], Awaitable[None]]) -> bool:
        """Put a job into this box's queue (see ``Keeper.adopt``)."""
        return await self._keeper.adopt(job, seize)

    @property
    def entries(self) -> SharedEntries:
        """This box's entries."""
        return self._entries

    @property
    def resumes(self) -> bool:
        """Whether what may have run is taken up again."""
        return self._resumes


class Case:
    """One job that nobody sees to.

    Args:
        takeover: sees to it.
        gone: how its box is gone; None: it is this box.
    """

    def __init__(self, takeover: Takeover, job_id: str, box: str, gone: Gone | None) -> None:
        self._takeover = takeover
        self._entries = takeover.entries
        self._records = takeover.entries.records
        self._job_id = job_id
        self._box = box
        self._gone = gone

    async def see_to(self, *, is_late: bool) -> None:
        """Do what is to be done.

        Args:
            is_late: whether others had time to do what this box cannot.

        Raises:
            StoreConflictError: something has changed meanwhile.
        """
        found = await self._records.look(self._job_id)
        claim = found.claim
        entry = StoredEntry.parse(found.entry.value) if found.entry.value else None
        if claim is None or claim.box != self._box:
            return
        if entry is None or found.is_foreign(claim.name):
            # Removed by hand, or overwritten by a server that knows no claims: both stay as said.
            await self._close(found, claim, None)
            return
        has_run = claim.phase == Phase.LAUNCHED
        if not has_run or self._takeover.resumes:
            request = await self._takeover.request_of(self._job_id, claim, entry)
            if request is not None:
                await self._adopt(found, claim, request)
                return
        is_ours = self._gone is None
        if is_ours or (has_run and (is_late or not self._takeover.resumes)):
            closed = None if entry.state == EntryState.DONE else entry.closed()
            await self._close(found, claim, closed)

    async def _adopt(self, found: Found, claim: Claim, request: JobRequest) -> None:
        text = f"taken over from the box on {claim.host}, which is gone"
        if self._gone is None:
            text = "taken up again: this box had accepted it when its server ended"
        is_suspended = claim.phase == Phase.SUSPENDED
        job = Adopted(request=request, kept=claim.kept, is_suspended=is_suspended, text=text)

        async def seize(row: Row) -> None:
            entry = entry_of(row, self._entries.name)
            await self._write(found, claim, row, entry, Fate.TAKEN)
            self._entries.know(row, entry)

        if await self._takeover.adopt(job, seize):
            logger.warning("job %s is %s", self._job_id, text)

    async def _close(self, found: Found, claim: Claim, entry: Entry | None) -> None:
        await self._write(found, claim, None, entry, Fate.CLOSED)
        self._takeover.forget(self._job_id)
        logger.warning(
            "job %s of the box on %s, which is gone, is closed", self._job_id, claim.host
        )

    async def _write(
        self, found: Found, claim: Claim, row: Row | None, entry: Entry | None, fate: Fate
    ) -> None:
        membership, keys = self._entries.membership, self._records.keys
        more: list[Operation] = [holds(keys.box(membership.box), membership.session)]
        if self._gone is not None:
            loss = Loss(job_id=self._job_id, fate=fate, host=membership.host)
            more.append(unchanged(keys.box(self._box), self._gone.revision))
            more.append(put(keys.loss(self._box, claim.job), loss.to_json()))
        # An inline factfile is not in this box's file of jobs yet.
        ours = None if row is None else self._entries.claiming.take_over(row, claim.factfile)
        await self._records.write(self._job_id, found, ours, entry, *more)


@contextlib.contextmanager
def _apart(job_id: str) -> Iterator[None]:
    """Do something about one job: what is wrong with it keeps nobody from the jobs behind it."""
    try:
        yield
    except StoreConflictError:
        pass  # somebody else was quicker
    except StoreUnreachableError:
        raise  # nor can anything be found out about the others
    except (StoreError, BackendError) as error:
        logger.warning("job %s cannot be taken over: %s", job_id, error)
    except Exception:
        logger.exception("unexpected, at job %s", job_id)


def _split(args: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell a submission's own words from those that its server has added behind them.

    A webhook comes from the server alone: nobody may submit one.
    """
    if "--webhook" not in args:
        return args, ()
    at = len(args) - 1 - args[::-1].index("--webhook")
    return args[:at], args[at:]
