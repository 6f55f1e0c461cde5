"""What the jobs say against what their tasks wrote down. Pure.

A job that nobody hit must have ended exactly as its behaviour says. One that was hit may have
ended otherwise, for a reason that goes with what hit it; but what its status says of each task
must be true all the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from chaos.behaviours import NO_OP_CODE, Job
from chaos.history import Found, History, Violation
from chaos.recording import Fact

EXCUSES: Mapping[str, frozenset[str]] = {
    "Pod deleted": frozenset({"Interrupted", "Lost"}),
    "Pod deleted by force": frozenset({"Interrupted", "Lost"}),
    "Pod evicted": frozenset({"Evicted", "Interrupted", "Lost"}),
    "runner killed": frozenset({"Lost"}),
    # A finalizer, such as the garbage collector's own for orphans, may keep it a while.
    "deletion": frozenset({"Interrupted", "Lost", "Deleted"}),
}
"""What hits a job, and for which reasons it may have ended then. Nothing else excuses."""

UNTOLD = frozenset({"Lost"})
"""Reasons by which the operator says that it does not know all of what was run."""
UNTOLD_WORDS = (
    "its runner did not report",
    "without a word of its runner",
    "before it could tell the result",
)
"""How it says so of a run that an order was to stop."""

NEW_ATTEMPTS = ("retrying", "resumed", "suspended")
"""Behaviours of jobs that ask for more than one attempt."""


def all_ended(history: History) -> Found:
    """Every job is there and DONE, unless it was deleted."""
    for job in history.plan.jobs:
        found = history.by_name.get(job.name)
        if found is None:
            if "deletion" not in history.hits(job.name):
                yield Violation("vanished", job.name, "nobody deleted it")
        elif found.get("status", {}).get("state") != "DONE":
            status = found.get("status") or {}
            said = f"{status.get('state')} {status.get('reason')}: {status.get('message')}"
            yield Violation("not ended", job.name, said)


def verdicts_stay(history: History) -> Found:
    """A verdict never changes again, and nobody makes attempts that were not asked for."""
    behaviours = {job.name: job.behaviour for job in history.plan.jobs}
    for name, told in history.told.items():
        final: tuple[int, str, str, str] | None = None
        for said in told:
            if final is not None and said != final and said[0] <= final[0]:
                yield Violation("verdict changed", name, f"{final} became {said}")
            final = said if said[1] == "DONE" else final
        attempts = max((said[0] for said in told), default=1)
        if attempts > 1 and behaviours.get(name) not in NEW_ATTEMPTS:
            yield Violation("attempt unasked", name, f"{attempts} attempts")


def _ended_jobs(history: History) -> Iterable[tuple[Job, Mapping[str, Any]]]:
    for job in history.plan.jobs:
        found = history.by_name.get(job.name)
        if found is not None and found.get("status", {}).get("state") == "DONE":
            yield job, found["status"]


def as_expected(history: History) -> Found:
    """A job ended as its behaviour says, or for a reason that goes with what hit it."""
    for job, status in _ended_jobs(history):
        got = (status.get("outcome"), status.get("reason"))
        states = tuple(task["state"] for task in status.get("tasks") or ())
        is_right = got == job.expected and job.states in ((), states)
        if job.behaviour == "cancelled":  # the order may have come too late
            is_right = is_right or got == ("SUCCEEDED", "Succeeded")
        excuses = {reason for hit in history.hits(job.name) for reason in EXCUSES.get(hit, ())}
        is_excused = got[0] == "FAILED" and got[1] in excuses
        if not is_right and not is_excused:
            expected = f"{'/'.join(job.expected)} {' '.join(job.states)}"
            said = f"{got[0]}/{got[1]} {' '.join(states)}: {status.get('message')}"
            yield Violation("unexplained end", job.name, f"{said} instead of {expected}")


class _Run(NamedTuple):
    """What one job's tasks wrote down, in its last attempt and in all of them."""

    started: set[str]
    codes: Mapping[str, int]
    ever: Mapping[str, set[int]]


def _run_of(history: History, job: str, attempt: int) -> _Run:
    ever: dict[str, set[int]] = defaultdict(set)
    codes: dict[str, int] = {}
    started: set[str] = set()
    for line in history.lines:
        if line.job != job or line.attempt > attempt:
            continue
        is_last = line.attempt == attempt
        if line.fact is Fact.ENDED:
            ever[line.task].add(int(line.detail))
            if is_last:
                codes[line.task] = int(line.detail)
        if line.fact is Fact.STARTED and is_last:
            started.add(line.task)
    return _Run(started, codes, ever)


def _is_unsure(status: Mapping[str, Any]) -> bool:
    """Whether the operator says that it does not know all of what was run."""
    message = status.get("message", "")
    return status.get("reason") in UNTOLD or any(words in message for words in UNTOLD_WORDS)


def success_is_true(history: History) -> Found:
    """What is called a success has run and ended well; a job, if all of it has."""
    for job, status in _ended_jobs(history):
        run = _run_of(history, job.name, int(status.get("attempt", 1)))
        tasks = {task["name"]: task for task in status.get("tasks") or ()}
        for name, task in tasks.items():
            code = {"SUCCEEDED": 0, "SUCCEEDED_NO_OP": NO_OP_CODE}.get(task["state"])
            if code is not None and code not in run.ever.get(name, ()):
                detail = f"{name} is {task['state']} and never ended with {code}"
                yield Violation("untrue success", job.name, detail)
        if status.get("outcome") == "SUCCEEDED":
            states = {task["state"] for task in tasks.values()}
            allowed = {"SUCCEEDED"} if "SUCCEEDED_NO_OP" not in states else {
                "SUCCEEDED", "SUCCEEDED_NO_OP", "SKIPPED"
            }  # fmt: skip
            if not states <= allowed or len(tasks) != len(job.tasks):
                yield Violation("untrue success", job.name, f"{states} of {len(tasks)} tasks")


def failure_is_told(history: History) -> Found:
    """A task that failed is told, and what is told of a task fits what it wrote down."""
    for job, status in _ended_jobs(history):
        run = _run_of(history, job.name, int(status.get("attempt", 1)))
        is_unsure = _is_unsure(status)
        tasks = {task["name"]: task for task in status.get("tasks") or ()}
        for name, code in run.codes.items():
            if code in (0, NO_OP_CODE):
                continue
            state = tasks.get(name, {}).get("state")
            if status.get("outcome") != "FAILED" or (state != "FAILED" and not is_unsure):
                detail = f"{name} ended with {code} and is {state}"
                yield Violation("failure untold", job.name, detail)
            elif tasks.get(name, {}).get("returnCode", code) != code and not is_unsure:
                yield Violation("failure untold", job.name, f"{name}: another code than {code}")
        for name, task in tasks.items():
            if task["state"] == "RUNNING":
                yield Violation("half told", job.name, f"{name} is RUNNING in a job that is DONE")
            if task["state"] in ("SKIPPED", "WAITING") and name in run.started and not is_unsure:
                yield Violation("half told", job.name, f"{name} was started and {task['state']}")


def kept_what_succeeded(history: History) -> Found:
    """A job that goes on does not repeat what had succeeded, where nobody hit it."""
    for job, status in _ended_jobs(history):
        is_restart = job.spec.get("retry", {}).get("mode") == "Restart"
        # A task that ends while it is told to counts as interrupted, whatever it wrote down.
        is_cut = job.behaviour == "suspended" or EXCUSES.keys() & history.hits(job.name)
        if is_restart or is_cut:
            continue
        run = [line for line in history.lines if line.job == job.name]
        good = [line.task for line in run if line.fact is Fact.ENDED and line.detail == "0"]
        for task in sorted({task for task in good if good.count(task) > 1}):
            detail = f"{task} succeeded {good.count(task)} times, {status.get('attempt')} attempts"
            yield Violation("run again", job.name, detail)
