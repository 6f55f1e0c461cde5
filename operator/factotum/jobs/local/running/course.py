"""A job's course, step by step. Pure: each step makes the next row of the last one.

What a claim, a report and a runner's last words mean is the policy of
``core.wire``; here is only what follows for a row.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from factotum.core.factfile.references import content_hash
from factotum.core.wire import endings
from factotum.core.wire.reports import KEPT, Report
from factotum.core.words.reasons import TABLE, Reason
from factotum.core.words.states import JobState, RunState
from factotum.jobs.local.entries import Adopted
from factotum.jobs.local.running.programs import TASK
from factotum.jobs.local.store import rows
from factotum.jobs.local.store.rows import Row
from factotum.jobs.views import JobRequest, Order

MAX_LAUNCHES: Final = 5
"""After how many launches the next runner that starts nothing is the last.

A launch that an order forestalls counts, too.
"""


def step(row: Row, reason: str, message: str) -> Row:
    """Give a job the state that goes with a reason."""
    meaning = TABLE[reason]
    return replace(
        row, state=meaning.state, outcome=meaning.outcome, reason=reason, message=message
    )


def submitted(request: JobRequest, key: int, place: int, now: int) -> Row:
    """Return the row of a job that was accepted."""
    options = request.options
    spec: dict[str, object] = {"program": True}
    if options is not None:
        spec = {
            "start": options.start,
            "env": dict(options.env),
            "tags": dict(options.tags),
            "constraints": dict(options.constraints),
            "scheduling": "Eager" if options.eager else "Levels",
            "maxParallel": options.max_parallel,
            "no_colour": options.no_colour,
        }
        if options.webhook is not None:
            spec["webhook"] = {
                "url": options.webhook.url,
                "maxStdouterrSize": options.webhook.max_stdouterr_size,
                "heartbeatIntervalSeconds": options.webhook.heartbeat_seconds,
            }
    return Row(
        key=key,
        job_id=request.job_id,
        name=request.name,
        factfile_path=request.factfile_path,
        factfile_hash=content_hash(request.factfile),
        args=json.dumps(request.args),
        tags=json.dumps(dict(request.tags)),
        spec=json.dumps(spec),
        task_names=json.dumps(request.task_names or [TASK]),
        submitted_ms=now,
        state=JobState.QUEUED,
        outcome=RunState.WAITING,
        reason=Reason.WAITING_FOR_WORKER,
        message="",
        wanted=str(Order.RUN),
        place=place,
        attempt=1,
        launch=0,
        token="",
        claim_id=None,
        report=None,
        kept=None,
        report_sequence=0,
        started_ms=None,
        ended_ms=None,
        sequence=0,
    )


def taken_over(row: Row, job: Adopted) -> Row:
    """Have a job begin as another box has left it; results of that box's run are kept."""
    last = rows.read_report(job.kept)
    if last is not None and len(last.states) == len(row.names) and set(last.states) & set(KEPT):
        row = replace(row, kept=_only_kept(last).to_json().decode())
    if job.is_suspended:
        return replace(step(row, Reason.SUSPENDED, job.text), wanted=str(Order.SUSPEND))
    return step(row, Reason.WAITING_FOR_WORKER, job.text)


def launched(row: Row, token: str) -> Row:
    """Have a runner made for a job; claims of those before it are refused from now on."""
    return replace(row, launch=row.launch + 1, token=token, claim_id=None)


def fenced(row: Row) -> Row:
    """Have a launch that may be under way come to nothing: its number is not the job's any more."""
    return replace(row, launch=row.launch + 1) if row.claim_id is None else row


def claimed(row: Row, claim_id: str, now: int) -> Row:
    """Give a job to a runner."""
    row = step(row, Reason.CLAIMED, "")
    return replace(row, claim_id=claim_id, started_ms=now, report_sequence=0, report=None)


def progressed(row: Row, report: Report) -> Row:
    """Know more of a run."""
    return replace(row, report=report.to_json().decode(), report_sequence=report.sequence)


def released(row: Row, place: int, why: str) -> Row:
    """Take a job back from a runner that started none of its tasks, for another one."""
    if row.launch >= MAX_LAUNCHES:
        message = f"runner after runner started nothing, the last since {why}"
        return replace(step(row, Reason.LAUNCH_FAILED, message), claim_id=None)
    row = step(row, Reason.RELAUNCHING, f"its runner started nothing: {why}")
    return replace(row, claim_id=None, place=place)


def finished(row: Row, report: Report, now: int) -> Row:
    """Give a job the verdict of its final report, or what it was stopped for."""
    row = progressed(row, report)
    if row.wanted != Order.RUN and not is_whole(report):
        return stopped(row, now)
    reason, message = endings.ending(report, row.names)
    if reason == Reason.INTERRUPTED:
        message = f"the run was shut down: its runner was told to stop. {message}"
    return replace(step(row, reason, message), ended_ms=now)


def is_whole(report: Report) -> bool:
    """Whether a final report is of a run that came to its own end: that wins over any order."""
    return not report.interrupted and not set(report.states) & set("WR")


def stopped(row: Row, now: int) -> Row:
    """Write what a stopped job is, now that nothing of it runs any more."""
    if row.wanted == Order.CANCEL:
        return replace(step(row, Reason.CANCELLED, "cancelled"), ended_ms=now)
    row = step(row, Reason.SUSPENDED, "suspended: it runs once it is resumed")
    return replace(row, ended_ms=now if row.claim_id is not None else None)


def lost(row: Row, reason: str, message: str, now: int) -> Row:
    """End a run whose verdict nobody knows; what ran then has failed for that reason."""
    report = row.newest_report() if row.report is not None else None
    if report is not None:
        running = [index for index, letter in enumerate(report.states) if letter == "R"]
        errors = {**report.errors, **dict.fromkeys(running, f"{reason}: {message}")}
        report = report.replace(states=report.states.replace("R", "F"), errors=errors)
        row = progressed(row, report)
    if row.wanted != Order.RUN:
        return stopped(row, now)
    return replace(step(row, reason, message), ended_ms=now)


def following(row: Row, place: int, message: str) -> Row:
    """Begin the attempt after the present one; tasks that ended well keep their result."""
    last = row.newest_report()
    kept = None
    if last is not None and set(last.states) & set(KEPT):
        kept = _only_kept(last).to_json().decode()
    return replace(
        step(row, Reason.RESUMED, message),
        wanted=str(Order.RUN),
        attempt=row.attempt + 1,
        launch=0,
        token="",
        claim_id=None,
        report=None,
        kept=kept,
        report_sequence=0,
        started_ms=None,
        ended_ms=None,
        place=place,
    )


def resumed(row: Row, place: int) -> Row:
    """Let a job into the queue again that was suspended or has failed.

    Its attempt goes on if it never began, otherwise the next one follows.
    """
    is_suspended = row.reason == Reason.SUSPENDED
    text = "taken up again" if is_suspended else "resumed"
    if not is_suspended or row.claim_id is not None:
        return following(row, place, f"{text}: attempt {row.attempt + 1} begins")
    row = step(row, Reason.RESUMED, text)
    return replace(row, wanted=str(Order.RUN), place=place, ended_ms=None)


def _only_kept(report: Report) -> Report:
    def of(values: dict[int, object]) -> dict[int, object]:
        return {index: value for index, value in values.items() if report.states[index] in KEPT}

    return report.replace(
        final=False,
        interrupted=0,
        states="".join(letter if letter in KEPT else "W" for letter in report.states),
        codes=of(dict(report.codes)),
        started=of(dict(report.started)),
        seconds=of(dict(report.seconds)),
        errors={},
    )


def ordered(row: Row, order: Order) -> Row:
    """Have a job's user say that it is to stop."""
    row = replace(row, wanted=str(order))
    if row.claim_id is not None:
        reason = Reason.CANCELLING if order == Order.CANCEL else Reason.SUSPENDING
        return step(row, reason, f"{order}: the running tasks are told to end")
    return row


def is_waiting(row: Row) -> bool:
    """Whether a job is in the queue: it wants a runner and has none."""
    return row.state == JobState.QUEUED and row.wanted == Order.RUN


def has_failed(row: Row) -> bool:
    """Whether another attempt may be asked for."""
    return row.state == JobState.DONE and row.outcome == RunState.FAILED


def may_follow(row: Row, recovers: Sequence[str]) -> bool:
    """Whether a run that just ended so is to be taken up again by itself."""
    return has_failed(row) and row.reason in recovers and row.wanted == Order.RUN
