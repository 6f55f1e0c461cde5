"""What a runner's last words mean for its job: one policy, wherever a job is kept. Pure."""

from collections.abc import Sequence
from typing import Final

from factotum.core.wire.reports import STATE_WORDS, Report
from factotum.core.wire.termination import Verdict
from factotum.core.words import sentences
from factotum.core.words.reasons import Reason
from factotum.core.words.states import TaskState

_NAMED_IN_MESSAGE: Final = 20
_NOT_RUN: Final = (TaskState.SKIPPED, TaskState.WAITING)


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

    Reason.INTERRUPTED: it was shut down; by whom, others may know better.
    """
    states = [STATE_WORDS[letter] for letter in report.states]
    reason, message = end_message(list(zip(names, states, strict=True)))
    refusal = next((text for i, text in report.errors.items() if report.states[i] == "W"), "")
    is_untouched = bool(report.states) and not report.states.strip("W")
    if (refusal or is_untouched) and not report.interrupted:
        return Reason.NOT_RUN, refusal or "the runner started no task"
    if report.interrupted or (not report.succeeded and reason != Reason.TASK_FAILED):
        return Reason.INTERRUPTED, message
    return reason, message


def end_message(tasks: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return reason and message of a run's end, in the original's words.

    Args:
        tasks: names and states, in level order.
    """
    failed = [name for name, state in tasks if state == TaskState.FAILED]
    no_op = [name for name, state in tasks if state == TaskState.SUCCEEDED_NO_OP]
    not_run = [name for name, state in tasks if state in _NOT_RUN]
    if failed:
        return Reason.TASK_FAILED, sentences.failed(_quoted(failed), _quoted(not_run))
    if no_op:
        return Reason.EARLY_FINISH, sentences.finished_early(_quoted(no_op), _quoted(not_run))
    return Reason.SUCCEEDED, f"{len(tasks)}/{len(tasks)} tasks run"


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:100]}'" for name in names[:_NAMED_IN_MESSAGE])
    more = len(names) - _NAMED_IN_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown
