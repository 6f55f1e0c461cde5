"""The judge of chaos runs finds each kind of lie, and none where there is none. Pure.

A small true history, and mutants of it: each changes one thing that must not be, and is found by
exactly the kinds of violation that it names.
"""

import dataclasses
import sys

import pytest

from support.cluster.clusters import ROOT

sys.path.append(str(ROOT))
from chaos.behaviours import Job, Task
from chaos.history import Fresh, History
from chaos.journal import Entry
from chaos.judging import judge
from chaos.plan import Plan
from chaos.recording import parse

from chaos import remains

HASH = "0123abcd"
DELETION = Entry(0, "deletion", ("deleted",), "Background")
HIT = [Entry(0, "Pod deleted", ("hit",)), DELETION]


def chain(name, expected, states, *codes, behaviour="plain", group=""):
    tasks = tuple(
        Task(name=f"t{n}", after=(f"t{n - 1}",) if n > 1 else (), codes=(code,))
        for n, code in enumerate(codes, start=1)
    )
    return Job(
        name=name,
        behaviour=behaviour,
        group=group or f"{name}.",
        tasks=tasks,
        expected=expected,
        states=states,
    )


JOBS = (
    chain("good", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED", "SUCCEEDED"), 0, 0),
    chain("bad", ("FAILED", "TaskFailed"), ("SUCCEEDED", "FAILED", "SKIPPED"), 0, 3, 0),
    chain("early", ("SUCCEEDED", "EarlyFinish"), ("SUCCEEDED_NO_OP", "SKIPPED"), 99, 0),
    chain("hit", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED", "SUCCEEDED"), 0, 0),
    chain("twin-a", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED",), 0, group="twin."),
    chain("twin-b", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED",), 0, group="twin."),
    chain(
        "again", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED", "SUCCEEDED"), 0, 0, behaviour="retrying"
    ),
    chain("deleted", ("SUCCEEDED", "Succeeded"), ("SUCCEEDED",), 0),
)
RECORD = f"""\
S good-1-1-{HASH} t1 11 1.0 good.
E good-1-1-{HASH} t1 11 2.0 0
S good-1-1-{HASH} t2 12 2.1 good.
E good-1-1-{HASH} t2 12 3.0 0
S bad-1-1-{HASH} t1 13 1.0 bad.
E bad-1-1-{HASH} t1 13 1.1 0
S bad-1-1-{HASH} t2 14 1.2 bad.
E bad-1-1-{HASH} t2 14 1.3 3
S early-1-1-{HASH} t1 15 1.0 early.
E early-1-1-{HASH} t1 15 1.1 99
S hit-1-2-{HASH} t1 16 1.0 hit.
T hit-1-2-{HASH} t1 16 1.5 143
S twin-a-1-1-{HASH} t1 17 1.0 twin.
E twin-a-1-1-{HASH} t1 17 1.5 0
S twin-b-1-1-{HASH} t1 18 1.6 twin.
E twin-b-1-1-{HASH} t1 18 1.9 0
S again-1-1-{HASH} t1 19 1.0 again.
E again-1-1-{HASH} t1 19 1.1 0
S again-1-1-{HASH} t2 20 1.2 again.
E again-1-1-{HASH} t2 20 1.3 7
S again-2-1-{HASH} t2 21 2.2 again.
E again-2-1-{HASH} t2 21 2.3 0
"""


def ended(name, outcome, reason, *states, attempt=1, completed="2026-01-01T00:00:05Z"):
    status = {"state": "DONE", "outcome": outcome, "reason": reason, "attempt": attempt}
    status["jobId"] = "id-twin" if name.startswith("twin") else f"id-{name}"
    status["completionTime"] = completed
    status["tasks"] = [{"name": f"t{n}", "state": s} for n, s in enumerate(states, start=1)]
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
    return {"metadata": metadata, "status": status}


def objects():
    later = "2026-01-01T00:00:09Z"
    return {
        "good": ended("good", "SUCCEEDED", "Succeeded", "SUCCEEDED", "SUCCEEDED"),
        "bad": ended("bad", "FAILED", "TaskFailed", "SUCCEEDED", "FAILED", "SKIPPED"),
        "early": ended("early", "SUCCEEDED", "EarlyFinish", "SUCCEEDED_NO_OP", "SKIPPED"),
        "hit": ended("hit", "FAILED", "Interrupted", "FAILED", "SKIPPED"),
        "twin-a": ended("twin-a", "SUCCEEDED", "Succeeded", "SUCCEEDED"),
        "twin-b": ended("twin-b", "SUCCEEDED", "Succeeded", "SUCCEEDED", completed=later),
        "again": ended("again", "SUCCEEDED", "Succeeded", "SUCCEEDED", "SUCCEEDED", attempt=2),
    }


def entry(name, outcome, state="DONE"):
    return {"state": state, "lastOutcome": outcome, "jobRequest": {"jobName": f"ns/{name}"}}


def pod(name, job, phase="Succeeded"):
    owners = [{"uid": f"uid-{job}"}] if job else []
    return {"metadata": {"name": name, "ownerReferences": owners}, "status": {"phase": phase}}


def true_history():
    jobs = objects()
    entries = {
        job["status"]["jobId"]: entry(name, job["status"]["outcome"])
        for name, job in jobs.items()
        if name != "twin-a"
    }
    return History(
        plan=Plan(seed=1, jobs=JOBS, whole=(), single=()),
        jobs=list(jobs.values()),
        pods=[pod(f"good-1-1-{HASH}", "good"), pod(f"hit-1-2-{HASH}", "hit", "Failed")],
        told={
            "good": [(1, "", "", ""), (1, "DONE", "SUCCEEDED", "Succeeded")],
            "again": [
                (1, "WORKING", "RUNNING", "Claimed"),
                (1, "DONE", "FAILED", "TaskFailed"),
                (2, "QUEUED", "WAITING", "Retrying"),
                (2, "DONE", "SUCCEEDED", "Succeeded"),
            ],
        },
        lines=parse(RECORD),
        journal=HIT,
        entries=entries,
        log="all is well",
        fresh=Fresh(wanted=12, together=12, beyond=0),
        peak_mebibytes=80.0,
    )


def changed(**fields):
    return lambda history: dataclasses.replace(history, **fields)


def recorded(old, new):
    assert old in RECORD
    return changed(lines=parse(RECORD.replace(old, new)))


def also_recorded(*lines):
    return changed(lines=parse(RECORD + "".join(f"{line}\n" for line in lines)))


def with_job(name, job):
    return changed(jobs=list((objects() | {name: job}).values()))


def without_job(name):
    return changed(jobs=[job for n, job in objects().items() if n != name])


def with_entry(name, value):
    return lambda h: dataclasses.replace(h, entries=dict(h.entries) | {name: value})


def without_entry(job_id):
    return lambda h: dataclasses.replace(
        h, entries={each: value for each, value in h.entries.items() if each != job_id}
    )


def with_told(name, *told):
    return lambda h: dataclasses.replace(h, told=dict(h.told) | {name: told})


def with_pod(made):
    return lambda h: dataclasses.replace(h, pods=[*h.pods, made])


def state_of(name, task, state):
    jobs = objects()
    jobs[name]["status"]["tasks"][task - 1]["state"] = state
    return changed(jobs=list(jobs.values()))


DONE_WELL = (1, "DONE", "SUCCEEDED", "Succeeded")
MUTANTS = {
    "a task starts twice": (
        also_recorded(f"S good-1-1-{HASH} t2 99 2.5 good."),
        {"started twice"},
    ),
    "a second Pod of an attempt runs": (
        also_recorded(f"S good-1-2-{HASH} t1 99 9.0 good.", f"E good-1-2-{HASH} t1 99 9.1 0"),
        {"started twice", "several Pods ran", "run again"},
    ),
    "two jobs of one id overlap": (
        recorded(f"twin-b-1-1-{HASH} t1 18 1.6", f"twin-b-1-1-{HASH} t1 18 1.4"),
        {"together"},
    ),
    "a task saw another that was killed later": (
        also_recorded(f"O twin-b-1-1-{HASH} t1 18 1.6 twin-a-1-1-{HASH}.t1"),
        {"together"},
    ),
    "two attempts overlap": (
        recorded(f"again-2-1-{HASH} t2 21 2.2", f"again-2-1-{HASH} t2 21 1.25"),
        {"together"},
    ),
    "a task starts before what it needs": (
        recorded(f"S good-1-1-{HASH} t1 11 1.0 good.\nE good-1-1-{HASH} t1 11 2.0 0\n", ""),
        {"out of order", "untrue success"},
    ),
    "a task runs on": (changed(still_running=["good-1-1.t1"]), {"still running"}),
    "a job vanishes": (without_job("bad"), {"vanished"}),
    "a job never ends": (
        with_job("good", {"metadata": {"name": "good", "uid": "uid-good"}, "status": {}}),
        {"not ended"},
    ),
    "a verdict changes": (
        with_told("good", DONE_WELL, (1, "DONE", "FAILED", "Lost")),
        {"verdict changed"},
    ),
    "a verdict is taken back": (
        with_told("good", DONE_WELL, (1, "WORKING", "RUNNING", "Claimed")),
        {"verdict changed"},
    ),
    "an attempt nobody asked for": (
        with_told("good", DONE_WELL, (2, "DONE", "SUCCEEDED", "Succeeded")),
        {"attempt unasked"},
    ),
    "a job that nobody hit is lost": (
        with_job("good", ended("good", "FAILED", "Lost", "SUCCEEDED", "FAILED")),
        {"unexplained end", "wrong entry"},
    ),
    "a hit job ends for another reason": (
        with_job("hit", ended("hit", "FAILED", "OOMKilled", "FAILED", "SKIPPED")),
        {"unexplained end"},
    ),
    "what was relabelled is no excuse": (
        changed(journal=[Entry(0, "Pod relabelled", ("hit",)), DELETION]),
        {"unexplained end"},
    ),
    "a success that was interrupted": (
        with_job("hit", ended("hit", "SUCCEEDED", "Succeeded", "SUCCEEDED", "SUCCEEDED")),
        {"untrue success", "wrong entry"},
    ),
    "a success with a task that failed": (
        recorded(f"E good-1-1-{HASH} t2 12 3.0 0", f"E good-1-1-{HASH} t2 12 3.0 4"),
        {"untrue success", "failure untold"},
    ),
    "a task that failed is not told": (
        state_of("bad", 2, "SKIPPED"),
        {"failure untold", "half told", "unexplained end"},
    ),
    "another code is told": (
        lambda h: (
            next(j for j in h.jobs if j["metadata"]["name"] == "bad")["status"]["tasks"][1].update(
                returnCode=4
            )
            or h
        ),
        {"failure untold"},
    ),
    "a task is left running": (
        state_of("hit", 1, "RUNNING"),
        {"half told"},
    ),
    "a task that ran is told as skipped": (
        state_of("hit", 1, "SKIPPED"),
        {"half told"},
    ),
    "what succeeded is run again": (
        also_recorded(f"S again-2-1-{HASH} t1 30 2.4 again.", f"E again-2-1-{HASH} t1 30 2.5 0"),
        {"run again"},
    ),
    "a Pod stays without its job": (
        with_pod(pod(f"deleted-1-1-{HASH}", "deleted", "Failed")),
        {"Pod without job"},
    ),
    "a Pod lives on": (with_pod(pod(f"good-1-9-{HASH}", "good", "Running")), {"Pod alive"}),
    "an entry is missing": (
        without_entry("id-good"),
        {"wrong entry"},
    ),
    "an entry tells another outcome": (
        with_entry("id-bad", entry("bad", "SUCCEEDED")),
        {"wrong entry"},
    ),
    "an entry tells of the first of two": (
        with_entry("id-twin", entry("twin-a", "SUCCEEDED")),
        {"wrong entry"},
    ),
    "an entry of a deleted job is unfinished": (
        with_entry("id-deleted", entry("deleted", "RUNNING", "WORKING")),
        {"wrong entry"},
    ),
    "a slot is lost": (changed(fresh=Fresh(12, 11, 0)), {"slot lost"}),
    "more run than there are workers": (changed(fresh=Fresh(12, 12, 1)), {"too many at once"}),
    "the operator grows": (changed(peak_mebibytes=900.0), {"memory"}),
    "the operator ends by itself": (
        changed(journal=[*HIT, Entry(0, "operator ended by itself")]),
        {"operator ended"},
    ),
    "the operator meets a bug": (
        changed(log="x\nTraceback (most recent call last):\n  ..."),
        {"traceback"},
    ),
}


def test_a_true_history_is_without_violations():
    assert judge(true_history()) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_lie_is_found(name):
    mutate, kinds = MUTANTS[name]
    assert {violation.kind for violation in judge(mutate(true_history()))} == kinds


def test_every_kind_of_violation_is_shown_to_be_found():
    source = "".join(path.read_text() for path in (ROOT / "chaos").glob("*.py"))
    shown = set().union(*(kinds for _, kinds in MUTANTS.values()))
    named = {part.split('"')[1] for part in source.split("Violation(")[1:] if part.startswith('"')}
    assert named
    assert named == shown


def test_pods_that_were_left_on_purpose_may_stay_once_they_have_ended():
    left = [Entry(0, "deletion", ("deleted",), "Orphan"), Entry(0, "Pod orphaned", ("good",))]
    assert remains.left_on_purpose(left) == {"deleted", "good"}
    history = dataclasses.replace(
        true_history(),
        journal=[*left, Entry(0, "Pod deleted", ("hit",))],
        pods=[pod(f"deleted-1-1-{HASH}", ""), pod(f"good-1-1-{HASH}", "")],
    )
    assert judge(history) == []
    alive = dataclasses.replace(history, pods=[pod(f"deleted-1-1-{HASH}", "", "Running")])
    assert {violation.kind for violation in judge(alive)} == {"Pod alive"}


@pytest.mark.parametrize(
    ("blow", "reason"),
    [("deletion", "Interrupted"), ("Pod evicted", "Evicted"), ("Pod deleted", "Interrupted")],
)
def test_a_job_that_was_hit_may_have_ended_for_what_hit_it(blow, reason):
    end = ended("hit", "FAILED", reason, "FAILED", "SKIPPED")
    journal = [Entry(0, blow, ("hit",)), Entry(0, "deletion", ("deleted",))]
    history = dataclasses.replace(with_job("hit", end)(true_history()), journal=journal)
    assert judge(history) == []
    elsewhere = dataclasses.replace(history, journal=[Entry(0, blow, ("good",)), *journal[1:]])
    assert "unexplained end" in {violation.kind for violation in judge(elsewhere)}


def test_a_job_that_was_cancelled_before_it_was_looked_at_needs_no_entry():
    job = chain("good", ("FAILED", "Cancelled"), (), 0, 0, behaviour="cancelled")
    done = ended("good", "FAILED", "Cancelled")
    del done["status"]["jobId"]
    history = without_entry("id-good")(with_job("good", done)(true_history()))
    history = dataclasses.replace(
        history,
        plan=dataclasses.replace(history.plan, jobs=(job, *JOBS[1:])),
        lines=[line for line in history.lines if line.job != "good"],
    )
    assert judge(history) == []
    done["status"]["claim"] = {"id": "c"}
    assert {violation.kind for violation in judge(history)} == {"wrong entry"}


def test_a_cancelled_job_may_have_been_quicker_than_its_order():
    job = chain("good", ("FAILED", "Cancelled"), (), 0, 0, behaviour="cancelled")
    history = true_history()
    plan = dataclasses.replace(history.plan, jobs=(job, *JOBS[1:]))
    assert judge(dataclasses.replace(history, plan=plan)) == []
