"""What a runner's last words mean for its job: one policy, wherever a job is kept. Pure."""

from collections.abc import Sequence
from typing import Final

from factotum.core.wire.reports import Report
from factotum.core.wire.termination import Verdict
from factotum.core.words.reasons import Reason

_NAMED_IN_MESSAGE: Final = 20
_WHY_LIMIT: Final = 200


def report_of(message: Verdict, known: Report | None, total: int, sequence: int) -> Report:
    """Turn a final termination message into a final report.

    Times and texts, which it has no room for, are the last that were known.

    Args:
        message: what the runner wrote.
        known: the newest report of this attempt, if there was one.
        total: how many tasks there are.
        sequence: of the newest report that was taken; this one comes after it.
    """
    states = _padded(message, known, total)
    return Report(
        claim_id=message.claim_id,
        sequence=max(message.sequence, sequence + 1),
        final=True,
        interrupted=message.interrupted,
        states=states,
        codes=_codes(message, known, states),
        started=known.started if known else {},
        seconds=known.seconds if known else {},
        errors={
            index: text
            for index, text in (known.errors if known else {}).items()
            if states[index] in "FK"
        },
        job_reference=known.job_reference if known else "",
        run_reference=known.run_reference if known else "",
    )


def _codes(message: Verdict, known: Report | None, states: str) -> dict[int, int]:
    codes = dict(known.codes) if known else {}
    codes |= message.codes
    for index, letter in enumerate(states):
        # A task that failed with a code nobody told has none, rather than 0.
        if letter in "SN":
            codes.setdefault(index, 0)
    return {index: code for index, code in codes.items() if states[index] in "SNF"}


def _padded(message: Verdict, known: Report | None, total: int) -> str:
    """Return a letter for each task, also for those the message had no room for.

    Its counts are exact, so what a last report leaves open can only be one of
    the letters not yet used up; a failure is never lost that way.
    """
    states = message.states[:total]
    left = {k: n - states.count(k) for k, n in message.counts.items()}
    rest = []
    for index in range(len(states), total):
        letter = known.states[index] if known and known.states[index] in "SNFK" else ""
        if not left.get(letter, 0):
            letter = next((k for k, n in left.items() if n > 0), "W")
        left[letter] = left.get(letter, 0) - 1
        rest.append(letter)
    return states + "".join(rest)


def ending(report: Report, names: Sequence[str]) -> tuple[str, str]:
    """Return reason and message of a run that ended with this report.

    The message says which tasks decided it, how they ended, and what did not run.
    Reason.INTERRUPTED: it was shut down; by whom, others may know better.
    """
    reason, message = _end(report, names)
    refusal = next((text for i, text in report.errors.items() if report.states[i] == "W"), "")
    is_untouched = bool(report.states) and not report.states.strip("W")
    if (refusal or is_untouched) and not report.interrupted:
        return Reason.NOT_RUN, refusal or "the runner started no task"
    if report.interrupted or (not report.succeeded and reason != Reason.TASK_FAILED):
        return Reason.INTERRUPTED, message
    return reason, message


def _end(report: Report, names: Sequence[str]) -> tuple[str, str]:
    tasks = list(enumerate(zip(names, report.states, strict=True)))
    failed = [index for index, (_, letter) in tasks if letter == "F"]
    no_op = [index for index, (_, letter) in tasks if letter == "N"]
    not_run = [_named(name) for _, (name, letter) in tasks if letter in "KW"]
    rest = f"; not run: {_listed(not_run)}" if not_run else ""
    if failed:
        return Reason.TASK_FAILED, _did(report, names, failed, "failed") + rest
    if no_op:
        return Reason.EARLY_FINISH, _did(report, names, no_op, "finished the job early") + rest
    return Reason.SUCCEEDED, f"{len(tasks)}/{len(tasks)} tasks run"


def _did(report: Report, names: Sequence[str], which: Sequence[int], what: str) -> str:
    if len(which) == 1:
        return f"task {_named(names[which[0]])} {what}{_why(report, which[0])}"
    told = _listed([_named(names[index]) + _why(report, index) for index in which])
    return f"{len(which)} tasks {what}: {told}"


def _why(report: Report, index: int) -> str:
    """Return how a task ended, in brackets: a code of its own says it all, else there are words."""
    code, error = report.codes.get(index), report.errors.get(index, "").strip()
    if code is not None and (code >= 0 or not error):
        return f" (return code {code})"
    return f" ({error[:_WHY_LIMIT]})" if error else ""


def _named(name: str) -> str:
    return f"'{name[:100]}'"


def _listed(items: Sequence[str]) -> str:
    shown = ", ".join(items[:_NAMED_IN_MESSAGE])
    more = len(items) - _NAMED_IN_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown
