"""The claims that one box makes: how far each of its jobs is, and what another must know of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from factotum.jobs.checking.own import INLINE
from factotum.jobs.local.boxes.claims import Claim, Phase, fits
from factotum.jobs.local.boxes.membership import Membership
from factotum.jobs.local.entries import entry_of
from factotum.jobs.local.store.rows import Row, read_report
from factotum.persistence.entries import Entry


class Claiming:
    """Makes claims.

    Args:
        membership: says which box this is.
        name: of its server, which entries say, too.
        factfile: gives a factfile's text by its hash; empty: it is not kept yet.
        resumes: whether a run that is broken off may be taken up by another box.
        secret: seals claims; empty: they have no seal.

    Attributes:
        begun: jobs that may run, although they are QUEUED until their runner claims them.
    """

    def __init__(
        self,
        membership: Membership,
        name: str,
        factfile: Callable[[str], str],
        *,
        resumes: bool,
        secret: str,
    ) -> None:
        self._membership = membership
        self._name = name
        self._factfile = factfile
        self._resumes = resumes
        self.secret: Final = secret
        self.begun: set[int] = set()

    def make(self, row: Row, phase: Phase) -> Claim:
        """Return the claim of a job of this box's own."""
        kept, is_whole = row.report or row.kept, True
        if phase == Phase.LAUNCHED and not self._resumes:
            kept, is_whole = None, False  # nobody is to run it again, with or without results
        factfile = self._factfile(row.factfile_hash) if row.factfile_path == INLINE else None
        is_whole = is_whole and factfile != ""  # not kept yet: written down with the next note
        for text in (kept, factfile):
            is_whole = is_whole and (text is None or fits(text))
        claim = Claim(
            box=self._membership.box,
            host=self._membership.host,
            name=self._name,
            job=row.key,
            place=row.place,
            phase=phase,
            kept=kept if is_whole else None,
            factfile=factfile if is_whole else None,
            is_whole=is_whole,
        )
        return self._sealed(claim, row)

    def take_over(self, row: Row, factfile: str | None) -> Claim:
        """Return the claim of a job that this box takes over.

        Args:
            factfile: its text, if no path leads to it.
        """
        claim = self.make(row, self.phase(row) or Phase.WAITING)
        return self._sealed(replace(claim, factfile=factfile, is_whole=True), row)

    def _sealed(self, claim: Claim, row: Row) -> Claim:
        return claim.sealed(self.secret, entry_of(row, self._name).request)

    def phase(self, row: Row) -> Phase | None:
        """Return how far a job is; None: it is over."""
        if row.is_done:
            return None
        if row.reason == Reason.SUSPENDED:
            return Phase.SUSPENDED
        if row.state != JobState.QUEUED or row.key in self.begun:
            return Phase.LAUNCHED
        return Phase.WAITING

    def sight(self, row: Row, entry: Entry) -> tuple[Entry, Phase | None, str]:
        """Return what others are to see of a job: only a change of it is worth a write."""
        report = read_report(row.report or row.kept)
        is_told = row.state == JobState.QUEUED or self._resumes
        return entry, self.phase(row), report.states if report is not None and is_told else ""
