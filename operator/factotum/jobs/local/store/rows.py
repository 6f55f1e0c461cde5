"""A job as this backend keeps it: one row, what it means, and how it is shown."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from factotum.core.wire.judging import Standing
from factotum.core.wire.reports import STATE_LETTERS, STATE_WORDS, Report, ReportError
from factotum.core.words.states import JobState, TaskState
from factotum.jobs.local.store.database import Statement
from factotum.jobs.views import OVER, AttemptView, JobView, Order, TaskView

_OVER: Final = tuple(STATE_LETTERS[state] for state in OVER)


@dataclass(slots=True, kw_only=True)
class Row:
    """One job; names and meanings are those of the table's columns.

    Attributes:
        spec: what a work order says beside the factfile, JSON.
        wanted: the user's ``Order``.
        place: its place among those that wait: the lower, the sooner.
        token: the secret of the present launch's runner.
        report: the newest report of the present attempt, JSON as it was sent.
        kept: the last report of the attempt before, whose results this one begins with.
    """

    key: int
    job_id: str
    name: str
    factfile_path: str
    factfile_hash: str
    args: str
    tags: str
    spec: str
    task_names: str
    submitted_ms: int
    state: str
    outcome: str
    reason: str
    message: str
    wanted: str
    place: int
    attempt: int
    launch: int
    token: str
    claim_id: str | None
    report: str | None
    kept: str | None
    report_sequence: int
    started_ms: int | None
    ended_ms: int | None
    sequence: int

    @property
    def is_done(self) -> bool:
        """Whether it has its verdict."""
        return self.state == JobState.DONE

    @property
    def claimant(self) -> str:
        """What its present runner is called: attempt and launch."""
        return f"{self.attempt}-{self.launch}"

    @property
    def names(self) -> list[str]:
        """The tasks' names in level order."""
        names: list[str] = json.loads(self.task_names)
        return names

    def standing(self) -> Standing:
        """Return how it stands, as far as claims and reports are concerned."""
        return Standing(
            attempt=self.attempt,
            launch=self.launch,
            sequence=self.report_sequence,
            is_done=self.is_done,
            claim_id=self.claim_id,
            claimant=self.claimant if self.claim_id is not None else "",
            claimant_name=self.claimant,
        )

    def newest_report(self) -> Report | None:
        """Return the newest that is known of its tasks."""
        return read_report(self.report) or read_report(self.kept)


def read_report(text: str | None) -> Report | None:
    """Read a stored report."""
    if text is None:
        return None
    try:
        return Report.from_json(text.encode())
    except ReportError:
        return None  # of another version of ours: the tasks' states are lost, nothing else


_COLUMNS: Final = tuple(field.name for field in fields(Row))
_FIXED: Final = _COLUMNS[: _COLUMNS.index("state")]
_CHANGING: Final = _COLUMNS[len(_FIXED) :]
_INSERT: Final = (
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names of ours
)
_UPDATE: Final = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE key = ?"  # noqa: S608 - names of ours


def insert(row: Row) -> Statement:
    """Return the statement that stores a new job."""
    return _INSERT, [getattr(row, name) for name in _COLUMNS]


def update(row: Row) -> Statement:
    """Return the statement that stores a job's change."""
    return _UPDATE, [*(getattr(row, name) for name in _CHANGING), row.key]


def keep_factfile(digest: str, text: str) -> Statement:
    """Return the statement that stores a factfile, once for all that share it."""
    return "INSERT OR IGNORE INTO factfiles (hash, text) VALUES (?, ?)", (digest, text)


def keep_attempt(row: Row) -> Statement:
    """Return the statement that stores how a job's present attempt went, or goes."""
    is_over = row.is_done or row.claim_id is None
    return (
        "INSERT OR REPLACE INTO attempts (key, number, reason, message, started_ms, ended_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            row.key,
            row.attempt,
            row.reason if is_over else "",
            row.message if is_over else "",
            row.started_ms,
            row.ended_ms,
        ),
    )


def keep_untold(row: Row) -> Statement:
    """Return the statement that remembers an end which Consul has not heard of."""
    return "INSERT OR REPLACE INTO untold (job_id, key) VALUES (?, ?)", (row.job_id, row.key)


def forget_untold(row: Row) -> Statement:
    """Return the statement that follows once Consul has heard of an end."""
    return "DELETE FROM untold WHERE job_id = ? AND key = ?", (row.job_id, row.key)


def read(found: sqlite3.Row) -> Row:
    """Read a row of the table."""
    return Row(**{name: found[name] for name in _COLUMNS})


def view(row: Row, position: int | None = None, why_waiting: str = "") -> JobView:
    """Show a job as a list does.

    Args:
        position: its place in the queue; None: it is in none.
        why_waiting: what keeps it from being begun, as a sentence; empty: nothing is known.
    """
    report = row.newest_report()
    states = report.states if report is not None else ""
    return JobView(
        key=str(row.key),
        job_id=row.job_id,
        name=row.name,
        factfile_path=row.factfile_path,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        message=(why_waiting if row.state == JobState.QUEUED else "") or row.message,
        order=Order(row.wanted),
        attempt=row.attempt,
        tags=json.loads(row.tags),
        tasks_total=len(states) or len(row.names),
        tasks_done=sum(map(states.count, _OVER)),
        tasks_failed=states.count("F"),
        position=position,
        submitted_ms=row.submitted_ms,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        sequence=row.sequence,
    )


def tasks(row: Row) -> tuple[TaskView, ...]:
    """Show a job's tasks."""
    names = row.names
    report = row.newest_report()
    if report is None or len(report.states) != len(names):
        return tuple(TaskView(name=name, state=TaskState.WAITING) for name in names)
    return tuple(
        TaskView(
            name=name,
            state=STATE_WORDS[report.states[index]],
            started_ms=report.started.get(index),
            seconds=report.seconds.get(index),
            return_code=report.codes.get(index),
            error=report.errors.get(index, ""),
        )
        for index, name in enumerate(names)
    )


def attempts(found: Sequence[sqlite3.Row]) -> tuple[AttemptView, ...]:
    """Show a job's attempts."""
    return tuple(
        AttemptView(
            number=each["number"],
            reason=each["reason"],
            message=each["message"],
            started_ms=each["started_ms"],
            ended_ms=each["ended_ms"],
        )
        for each in found
    )
