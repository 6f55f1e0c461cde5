"""Whether what the operator said is the truth: pure, by what the tasks wrote down themselves.

A job that nobody hit must have ended exactly as its behaviour says. One that was hit may have
ended otherwise, for a reason that goes with what hit it; but what its status says of each task
must be true all the same.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chaos.behaviours import NO_OP_CODE, Job
from chaos.journal import Entry
from chaos.plan import Plan
from chaos.recording import Fact, Line

MOST_MEBIBYTES = 200.0
"""What an operator may ever have had: no leak hides below it in a run of an hour."""

EXCUSES: Mapping[str, frozenset[str]] = {
    "Pod deleted": frozenset({"Interrupted", "Lost"}),
    "Pod deleted by force": frozenset({"Interrupted", "Lost"}),
    "Pod evicted": frozenset({"Interrupted", "Lost"}),
    "runner killed": frozenset({"Lost"}),
}
"""What hits a job, and for which reasons it may have ended then. Nothing else excuses."""

UNTOLD = frozenset({"Lost"})
"""Reasons by which the operator says that it does not know all of what was run."""

NEW_ATTEMPTS = ("retrying", "resumed", "suspended")
"""Behaviours of jobs that ask for more than one attempt."""


class Violation(NamedTuple):
    """Something that must not be."""

    kind: str
    subject: str
    detail: str


class Fresh(NamedTuple):
    """What came of fresh jobs that wait for each other: how many started together."""

    wanted: int
    together: int
    beyond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of a run.

    Attributes:
        jobs: the objects that are left, and so the Pods.
        told: by a job's name, each verdict of its status, in order.
        entries: of Consul, by job id.
    """

    plan: Plan
    jobs: Sequence[Mapping[str, Any]]
    pods: Sequence[Mapping[str, Any]]
    told: Mapping[str, Sequence[tuple[int, str, str, str]]]
    lines: Sequence[Line]
    journal: Sequence[Entry] = ()
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    log: str = ""
    fresh: Fresh | None = None
    still_running: Sequence[str] = ()
    peak_mebibytes: float = 0.0

    @property
    def by_name(self) -> dict[str, Mapping[str, Any]]:
        """The objects of the plan's jobs that are left."""
        left = {job["metadata"]["name"]: job for job in self.jobs}
        return {job.name: left[job.name] for job in self.plan.jobs if job.name in left}

    def hits(self, job: str) -> set[str]:
        """Give what was done to a job."""
        return {entry.kind for entry in self.journal if job in entry.jobs}


def judge(history: History) -> list[Violation]:
    """Find everything that must not be."""
    return [violation for check in CHECKS for violation in check(history)]


Found = Iterable[Violation]

# --- what the tasks wrote down ------------------------------------------------------------


def _starts(lines: Iterable[Line]) -> dict[tuple[str, int], list[Line]]:
    found = defaultdict(list)
    for line in lines:
        if line.fact is Fact.STARTED:
            found[line.job, line.attempt].append(line)
    return found


def started_once(history: History) -> Found:
    """An attempt's tasks start at most once, all of them in one Pod."""
    for (job, attempt), starts in _starts(history.lines).items():
        tasks = [line.task for line in starts]
        for task in sorted({task for task in tasks if tasks.count(task) > 1}):
            yield Violation("started twice", job, f"attempt {attempt}, task {task}")
        pods = {line.pod for line in starts}
        if len(pods) > 1:
            yield Violation("several Pods ran", job, f"attempt {attempt}: {sorted(pods)}")


def never_together(history: History) -> Found:
    """Two Pods of one job id never run together: no two jobs, no two attempts."""
    spans: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    groups: dict[str, str] = {}
    for line in history.lines:
        if line.fact is Fact.STARTED:
            groups[line.pod] = line.detail
        if line.fact is Fact.OVERLAPPED:
            yield Violation("together", line.pod, f"while {line.detail} lives")
            continue
        span = spans[groups.get(line.pod, "")]
        first, _ = span.get(line.pod, (line.moment, 0.0))
        span[line.pod] = (first, line.moment)
    for span in spans.values():
        in_order = sorted((first, last, pod) for pod, (first, last) in span.items())
        for (_, last, pod), (first, _, other) in itertools.pairwise(in_order):
            if first < last:
                yield Violation("together", other, f"began {last - first:.3f} s before {pod} ended")


def in_order(history: History) -> Found:
    """A task starts after those that it depends on have succeeded, in this attempt or before."""
    after = {(job.name, task.name): task.after for job in history.plan.jobs for task in job.tasks}
    good: set[tuple[str, str]] = set()
    for line in history.lines:
        if line.fact is Fact.ENDED and line.detail == "0":
            good.add((line.job, line.task))
        if line.fact is Fact.STARTED:
            for before in after.get((line.job, line.task), ()):
                if (line.job, before) not in good:
                    yield Violation("out of order", line.job, f"{line.task} before {before}")


def nothing_left_running(history: History) -> Found:
    """No task outlives the run."""
    for each in history.still_running:
        yield Violation("still running", each, "its process is there")


# --- what the jobs say ----------------------------------------------------------------------


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
        is_unsure = status.get("reason") in UNTOLD
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
        if is_restart or EXCUSES.keys() & history.hits(job.name):
            continue
        run = [line for line in history.lines if line.job == job.name]
        good = [line.task for line in run if line.fact is Fact.ENDED and line.detail == "0"]
        for task in sorted({task for task in good if good.count(task) > 1}):
            detail = f"{task} succeeded {good.count(task)} times, {status.get('attempt')} attempts"
            yield Violation("run again", job.name, detail)


# --- what is left ---------------------------------------------------------------------------


def left_on_purpose(journal: Iterable[Entry]) -> set[str]:
    """Give the jobs whose Pods somebody wanted to stay without them."""
    return {
        name
        for entry in journal
        if entry.kind == "Pod orphaned" or (entry.kind, entry.detail) == ("deletion", "Orphan")
        for name in entry.jobs
    }


def nothing_orphaned(history: History) -> Found:
    """Every Pod has ended, and has a job."""
    uids = {job["metadata"]["uid"] for job in history.jobs}
    on_purpose = left_on_purpose(history.journal)
    for pod in history.pods:
        name = pod["metadata"]["name"]
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            yield Violation("Pod alive", name, str(pod.get("status", {}).get("phase")))
        owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()}
        if not owners & uids and not any(name.startswith(f"{job}-") for job in on_purpose):
            yield Violation("Pod without job", name, "nobody left it on purpose")


def wrong_entries(
    plan: Plan, jobs: Sequence[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Any]]
) -> list[Violation]:
    """Compare Consul with the jobs that are left."""
    found = [
        Violation("wrong entry", job_id, f"it is {entry.get('state')}")
        for job_id, entry in entries.items()
        if entry.get("state") != "DONE"
    ]
    groups = {job.name: job.group for job in plan.jobs}
    sizes = Counter(job.group for job in plan.jobs)
    by_id: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for raw in jobs:
        status = raw.get("status") or {}
        if raw["metadata"]["name"] in groups and status.get("state") == "DONE":
            by_id[str(status.get("jobId"))].append(raw)
    for job_id, of_id in by_id.items():
        name = of_id[0]["metadata"]["name"]
        entry = entries.get(job_id)
        if entry is None:
            found.append(Violation("wrong entry", name, "there is none"))
        elif len(of_id) == sizes[groups[name]]:  # with some deleted it may speak of those
            last = max(raw["status"].get("completionTime", "") for raw in of_id)
            outcomes = {
                (_label(raw["metadata"]), raw["status"]["outcome"])
                for raw in of_id
                if raw["status"].get("completionTime", "") == last
            }
            said = (entry.get("jobRequest", {}).get("jobName"), entry.get("lastOutcome"))
            if said not in outcomes:
                found.append(Violation("wrong entry", name, f"{said} instead of {outcomes}"))
    return found


def _label(metadata: Mapping[str, Any]) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"


def entries_right(history: History) -> Found:
    """Consul tells of every job what its status says, and of none that it is unfinished."""
    return wrong_entries(history.plan, history.jobs, history.entries)


def no_slot_lost(history: History) -> Found:
    """As many fresh jobs as there are workers run together, and no more."""
    fresh = history.fresh
    if fresh is None:
        return
    if fresh.together < fresh.wanted:
        yield Violation("slot lost", "workers", f"{fresh.together} of {fresh.wanted} jobs started")
    if fresh.beyond > 0:
        yield Violation("too many at once", "workers", f"{fresh.beyond} more than {fresh.wanted}")


def operator_is_well(history: History) -> Found:
    """The operator does not grow, does not end by itself, and meets no bug of its own."""
    if history.peak_mebibytes > MOST_MEBIBYTES:
        yield Violation("memory", "operator", f"{history.peak_mebibytes:.0f} MiB")
    for entry in history.journal:
        if entry.kind == "operator ended by itself":
            yield Violation("operator ended", "operator", entry.detail)
    start = history.log.find("Traceback (most recent call last)")
    if start >= 0:
        last = history.log[max(0, start - 300) : start + 2000]
        yield Violation("traceback", "operator", last)


CHECKS: Sequence[Callable[[History], Found]] = (
    started_once,
    never_together,
    in_order,
    nothing_left_running,
    all_ended,
    verdicts_stay,
    as_expected,
    success_is_true,
    failure_is_told,
    kept_what_succeeded,
    nothing_orphaned,
    entries_right,
    no_slot_lost,
    operator_is_well,
)
