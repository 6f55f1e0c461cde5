"""Claims, reports and ends of runners: what each makes of its job.

A claim is answered once it is durable, and so is a final report: whoever was
answered need not fear the server's end. What was not answered is asked again, or
left in the attempt's folder for the next server.
"""

import hmac
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from factotum.core.wire import endings, judging
from factotum.core.wire.judging import Answer, Denied, Granted, Later
from factotum.core.wire.orders import Order as Told
from factotum.core.wire.orders import work_order
from factotum.core.wire.reports import Report
from factotum.core.words.reasons import Reason
from factotum.jobs.errors import UnknownJobError
from factotum.jobs.local.running import course
from factotum.jobs.local.running.folders import Folders
from factotum.jobs.local.running.programs import program_factfile
from factotum.jobs.local.settings import RECOVERED, LocalSettings
from factotum.jobs.local.store import rows
from factotum.jobs.local.store.database import DatabaseError
from factotum.jobs.local.store.ledger import Ledger, now_ms
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import Order

logger = logging.getLogger(__name__)

_NOT_ITS_OWN: Final = Denied(status=410, message="the runner is not this job's")


class Desk:
    """Takes claims, reports and last words.

    Args:
        on_change: is told of each job's change once it is durable.
        on_free: is told the name of a runner that needs no worker any more.
        may_start: whether a job may be begun now.
    """

    def __init__(
        self,
        ledger: Ledger,
        folders: Folders,
        settings: LocalSettings,
        on_change: Callable[[Row], None],
        on_free: Callable[[int, str], None],
        may_start: Callable[[Row], bool],
    ) -> None:
        self._ledger = ledger
        self._folders = folders
        self._settings = settings
        self._on_change = on_change
        self._on_free = on_free
        self._may_start = may_start
        self.lost: dict[int, str] = {}
        """Jobs that run, but are another box's business now, and why: they are to stop."""
        self.unsaved: set[int] = set()
        """Jobs whose progress the file does not have yet."""

    async def claim(self, key: int, wanted: tuple[int, int], claim_id: str, token: str) -> Answer:
        """Decide a claim."""
        row = self._ledger.open.get(key)
        if row is None or not hmac.compare_digest(row.token, token):
            return _NOT_ITS_OWN
        claimant = f"{wanted[0]}-{wanted[1]}"
        verdict = judging.judge_claim(row.standing(), wanted, claim_id, claimant, "runner")
        if isinstance(verdict, Denied):
            return verdict
        if verdict is None:
            if row.wanted != Order.RUN:
                return Denied(status=410, message="the job is not to run")
            if not self._may_start(row):
                return Later(message="whether it may run is not known now")
            row = course.claimed(row, claim_id, now_ms())
            try:
                await self._ledger.put(row, rows.keep_attempt(row))
            except DatabaseError as error:
                return Later(message=str(error))
            self._on_change(row)
        return Granted(body=self._work_order(row))

    def _work_order(self, row: Row) -> dict[str, object]:
        text = self._ledger.factfile(row.factfile_hash)
        spec = self._ledger.spec(row)
        if spec.get("program"):
            text = program_factfile(self._settings.program, row)
        return work_order(row.name, spec, text, row.factfile_hash, kept=rows.read_report(row.kept))

    async def report(self, key: int, attempt: int, report: Report, token: str) -> Answer:
        """Take a report; a final one is answered once it is durable."""
        row = self._ledger.open.get(key)
        if row is None or row.is_done:
            return self._late(key, attempt, report)
        if not hmac.compare_digest(row.token, token):
            return _NOT_ITS_OWN
        denied = judging.judge_report(row.standing(), attempt, report)
        if denied is not None:
            return denied
        total = len(row.names)
        if len(report.states) != total:
            return Denied(status=400, message=f"the job has {total} tasks")
        if report.final:
            try:
                await self._end(row, course.finished(row, report, now_ms()))
            except DatabaseError as error:
                return Later(message=str(error))
            return Granted(body={"order": None})
        if report.sequence > row.report_sequence:
            self._ledger.hold(course.progressed(row, report))
            self.unsaved.add(key)
        is_on = row.wanted == Order.RUN and key not in self.lost
        return Granted(body={"order": None if is_on else Told.STOP})

    def _late(self, key: int, attempt: int, report: Report) -> Answer:
        """Answer a runner whose job has its verdict."""
        try:
            row = self._ledger.get(str(key))
        except UnknownJobError:
            return _NOT_ITS_OWN
        denied = judging.judge_report(row.standing(), attempt, report)
        return denied or Granted(body={"order": None})

    async def ended(self, key: int, attempt: int, launch: int, how: str) -> None:
        """Find out what became of a job whose runner has ended.

        Args:
            how: says it, such as ``exit code 75``.
        """
        row = self._ledger.open.get(key)
        name = f"{attempt}-{launch}"
        if row is None or row.is_done or row.claimant != name:
            self._on_free(key, name)
            self._folders.tidy(key, attempt)
            return
        message = self._folders.verdict(key, attempt)
        if row.claim_id is None:
            await self._give_back(row, how)
        elif message is None or not judging.is_same(row.claim_id, message.claim_id):
            text = f"the runner ended ({how}) before it could tell anything"
            await self._end(row, course.lost(row, Reason.LOST, text, now_ms()))
        elif message.kind == "unstarted":
            await self._give_back(row, how)
        else:
            report = endings.report_of(
                message, rows.read_report(row.report), len(row.names), row.report_sequence
            )
            if message.kind == "final":
                await self._end(row, course.finished(row, report, now_ms()))
            else:
                row = course.progressed(row, report.replace(final=False))
                text = f"the runner ended ({how}) before it could tell the result"
                await self._end(row, course.lost(row, Reason.LOST, text, now_ms()))

    async def _give_back(self, row: Row, how: str) -> None:
        if row.wanted != Order.RUN:
            await self._end(row, course.stopped(replace(row, claim_id=None), now_ms()))
            return
        given = course.released(row, row.place, how)
        await self._end(row, replace(given, ended_ms=now_ms()) if given.is_done else given)

    async def _end(self, before: Row, row: Row) -> None:
        """Keep how a run has ended, and free its worker; another attempt may follow at once."""
        self.unsaved.discard(row.key)
        text = self.lost.get(row.key)
        if text is not None:
            row = course.lost(replace(before, wanted=str(Order.RUN)), Reason.LOST, text, now_ms())
        record = rows.keep_attempt(row)
        if text is None and self._settings.resumes and course.may_follow(row, RECOVERED):
            text = f"attempt {row.attempt} was broken off; attempt {row.attempt + 1} follows"
            row = course.following(row, self._ledger.next_place(), text)
        await self._ledger.put(row, record)
        self.lost.pop(row.key, None)
        self._folders.tidy(before.key, before.attempt)
        self._on_free(before.key, before.claimant)
        self._on_change(row)
