"""``desiredState``: Suspend, Cancel, and Run once more, before a claim and under one.

All pure. Each row is one way the facts can be and everything that is done about it; below the
table, what is written, and whole courses of events.
"""

import pytest

from factotum.controller.decide.launching import MAX_LAUNCHES
from factotum.controller.decide.orders import OBEY_SECONDS
from factotum.controller.decide.table import decide
from factotum.core.wire import termination
from support.builders.jobs import (
    CLAIM_ID,
    NOW,
    POD_UID,
    after,
    brief,
    done_status,
    ended_pod,
    make_job,
    make_message,
    make_pod,
    make_report,
    observed,
    patched,
    working_status,
)

QUEUED = {"state": "QUEUED", "outcome": "WAITING", "observedGeneration": 1}
SUSPENDED = QUEUED | {"reason": "Suspended"}
UNSTARTED = termination.unstarted(CLAIM_ID).decode()
RAN = [{"attempt": 1, "reason": "Suspended"}]
TASKS = [
    {"name": "extract", "state": "SUCCEEDED", "returnCode": 0},
    {"name": "load", "state": "FAILED", "errorMessage": "stopped"},
    {"name": "tidy", "state": "WAITING"},
]


def desires(word, status=None, **fields):
    return make_job(spec={"factfile": {}, "desiredState": word}, status=status, **fields)


def obeying(word, desired=None, **fields):
    """Return a job whose runner is being told to stop since NOW."""
    reason = {"Suspend": "Suspending", "Cancel": "Cancelling"}[word]
    told = {"reason": reason, "order": {"desiredState": word, "time": "2026-03-01T12:00:00Z"}}
    told["message"] = f"{word}: the running tasks are told to end"
    return desires(desired or word, working_status(**(told | fields)))


BEFORE_THE_CLAIM = [
    pytest.param(
        observed(desires("Suspend")),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a job that is made suspended waits",
    ),
    pytest.param(
        observed(desires("Suspend"), factfile=None, host=None, place=None),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a suspended job is not even looked into",
    ),
    pytest.param(observed(desires("Suspend", SUSPENDED)), {}, id="a suspended job is left alone"),
    pytest.param(
        observed(desires("Suspend", SUSPENDED, generation=2)),
        {"patch": "QUEUED/WAITING Suspended"},
        id="a suspended job observes what is changed of it",
    ),
    pytest.param(
        observed(desires("Suspend", QUEUED | {"reason": "WaitingForWorker"})),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a job in the queue is suspended",
    ),
    pytest.param(
        observed(desires("Suspend"), make_pod()),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal", "delete": [POD_UID]},
        id="an unclaimed Pod is fenced off and deleted",
    ),
    pytest.param(
        observed(desires("Suspend"), make_pod(deleting=True)),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="an unclaimed Pod that is being deleted is fenced off",
    ),
    pytest.param(
        observed(desires("Suspend"), ended_pod("", exit_code=75)),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="the name of a Pod that ended unclaimed is not used again",
    ),
    pytest.param(
        observed(desires("Suspend", SUSPENDED), make_pod()),
        {"patch": "QUEUED/WAITING Suspended", "delete": [POD_UID]},
        id="a Pod that turns up late is fenced off and deleted",
    ),
    pytest.param(
        observed(desires("Suspend", SUSPENDED | {"attempt": 1, "launch": 2}), make_pod()),
        {"delete": [POD_UID], "again": 5.0},
        id="a Pod that was fenced off is deleted",
    ),
    pytest.param(
        observed(desires("Cancel")),
        {"patch": "DONE/FAILED Cancelled", "event": "Normal"},
        id="a job that waits is cancelled at once",
    ),
    pytest.param(
        observed(desires("Cancel"), make_pod()),
        {"patch": "DONE/FAILED Cancelled", "event": "Normal"},
        id="no claim is granted to a job that is done",
    ),
    pytest.param(
        observed(desires("Cancel", done_status(outcome="FAILED", claim=None)), make_pod()),
        {"delete": [POD_UID], "again": 5.0},
        id="the Pod of a job that was cancelled is deleted",
    ),
    pytest.param(
        observed(desires("Cancel", SUSPENDED)),
        {"patch": "DONE/FAILED Cancelled", "event": "Normal"},
        id="a suspended job is cancelled",
    ),
    pytest.param(
        observed(desires("Run", SUSPENDED)),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a job that was suspended before it ran is taken up again",
    ),
    pytest.param(
        observed(desires("Run", SUSPENDED | {"attempt": 1, "launch": 3, "attempts": RAN})),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a job that was suspended while it ran begins another attempt",
    ),
]

UNDER_A_CLAIM = [
    pytest.param(
        observed(desires("Suspend", working_status()), make_pod()),
        {"patch": "WORKING/RUNNING Suspending", "again": OBEY_SECONDS},
        id="an order is written down before it is given",
    ),
    pytest.param(
        observed(desires("Cancel", working_status()), make_pod(), report=make_report("RWW")),
        {"patch": "WORKING/RUNNING Cancelling", "again": OBEY_SECONDS},
        id="no progress keeps an order waiting",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod()),
        {"again": OBEY_SECONDS},
        id="a runner has its time to obey",
    ),
    pytest.param(
        observed(obeying("Suspend", "Cancel"), make_pod()),
        {"patch": "WORKING/RUNNING Cancelling", "again": OBEY_SECONDS},
        id="another order is told",
    ),
    pytest.param(
        observed(obeying("Suspend", "Run"), make_pod()),
        {"patch": "WORKING/RUNNING Suspending", "again": OBEY_SECONDS},
        id="an order that is taken back is obeyed all the same, and that is told",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod(), report=make_report("SFW", final=True)),
        {"patch": "progress 2/3"},
        id="how far a stopped run got is written, but no end before its Pod has ended",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod(), report=make_report("SWW", final=True)),
        {"patch": "progress 1/3"},
        id="a run that was stopped between two tasks has not come to its end",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod(), report=make_report("SSS", final=True)),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a success wins over a suspension",
    ),
    pytest.param(
        observed(obeying("Cancel"), make_pod(), report=make_report("SFK", final=True)),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a failure wins over a cancellation",
    ),
    pytest.param(
        observed(obeying("Suspend"), ended_pod(make_message("SFW", interrupted=1), exit_code=2)),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a run that was stopped is suspended once its Pod has ended",
    ),
    pytest.param(
        observed(obeying("Cancel"), ended_pod(make_message("SFW", interrupted=1), exit_code=2)),
        {"patch": "DONE/FAILED Cancelled", "event": "Normal"},
        id="a run that was stopped is cancelled once its Pod has ended",
    ),
    pytest.param(
        observed(
            obeying("Suspend", "Run"), ended_pod(make_message("SFW", interrupted=1), exit_code=2)
        ),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a run that was stopped begins another attempt if it is to run again by then",
    ),
    pytest.param(
        observed(obeying("Suspend"), ended_pod(make_message("SSS"))),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a success that only the Pod knows of wins over a suspension",
    ),
    pytest.param(
        observed(obeying("Suspend"), ended_pod("", exit_code=137)),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a runner that was killed has stopped",
    ),
    pytest.param(
        observed(obeying("Suspend"), ended_pod(UNSTARTED, exit_code=75)),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a runner that started nothing gives its claim back to a suspended job",
    ),
    pytest.param(
        observed(obeying("Cancel"), ended_pod(UNSTARTED, exit_code=75)),
        {"patch": "DONE/FAILED Cancelled", "event": "Normal"},
        id="a runner that started nothing is cancelled",
    ),
    pytest.param(
        observed(obeying("Suspend", "Run"), ended_pod(UNSTARTED, exit_code=75)),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a runner that started nothing is followed by another Pod of the attempt",
    ),
    pytest.param(
        observed(obeying("Suspend"), absent=frozenset({POD_UID}), gone_seconds=5.0),
        {"patch": "WORKING/RUNNING PodGone", "again": 5.0},
        id="a runner whose Pod was removed may still run tasks",
    ),
    pytest.param(
        observed(obeying("Suspend"), absent=frozenset({POD_UID}), gone_seconds=60.0),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a runner whose Pod was removed is given up a minute later",
    ),
    pytest.param(
        observed(
            obeying("Suspend", sequence=4),
            absent=frozenset({POD_UID}),
            gone_seconds=1.0,
            report=make_report("SFW", final=True, interrupted=1, sequence=4),
        ),
        {"patch": "QUEUED/WAITING Suspended", "event": "Normal"},
        id="a runner that has told its end runs nothing any more though its Pod was removed",
    ),
    pytest.param(
        observed(
            desires("Suspend", working_status(), deletionTimestamp="2026-03-01T12:00:00Z"),
            ended_pod(make_message("SFW", interrupted=1), exit_code=2),
        ),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="a job that is being deleted ends, whatever is desired",
    ),
]

LATE = [
    pytest.param(
        observed(obeying("Suspend"), make_pod()),
        {"delete": [POD_UID], "again": 5.0},
        id="a Pod that does not obey in time is deleted",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod(deleting=True)),
        {},
        id="a Pod that is being deleted is waited for",
    ),
    pytest.param(
        observed(obeying("Suspend"), make_pod(owner="")),
        {"again": 1.0},
        id="a Pod that is not surely the job's own is never deleted",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), BEFORE_THE_CLAIM + UNDER_A_CLAIM)
def test_an_order(seen, expected):
    assert brief(decide(seen, NOW)) == expected


@pytest.mark.parametrize(("seen", "expected"), LATE)
def test_an_order_that_was_given_thirty_seconds_ago(seen, expected):
    assert brief(decide(seen, after(OBEY_SECONDS))) == expected


def test_a_fence_counts_the_launch_and_no_back_off_follows():
    patch = decide(observed(desires("Suspend"), make_pod()), NOW).patch

    assert patch["launch"] == 2
    assert patch["nextLaunchTime"] is None
    again = patched(desires("Run"), patch)
    resumed = patched(again, decide(observed(again), NOW).patch)
    assert (resumed.attempt, resumed.launch, resumed.reason) == (2, 1, "Resumed")
    assert decide(observed(resumed), NOW).create


def test_a_suspended_run_lets_go_of_its_claim_and_remembers_what_it_did():
    pod = ended_pod(make_message("SFW", interrupted=1), exit_code=2)
    job = obeying("Suspend", startTime="2026-03-01T11:30:00Z")

    patch = decide(observed(job, pod), after(20)).patch
    suspended = patched(job, patch)

    assert (suspended.claim, suspended.order, suspended.attempt, suspended.launch) == (
        None,
        None,
        1,
        2,
    )
    assert [t["state"] for t in suspended.status["tasks"]] == ["SUCCEEDED", "FAILED", "WAITING"]
    assert suspended.status["attempts"] == [
        {
            "attempt": 1,
            "podName": "nightly-1-1-0",
            "nodeName": "node-a",
            "startTime": "2026-03-01T11:30:00Z",
            "completionTime": "2026-03-01T12:00:20Z",
            "reason": "Suspended",
        }
    ]
    assert [c["type"] for c in suspended.status["conditions"]] == ["Suspended"]


def test_a_run_that_is_taken_up_again_keeps_what_ended_well():
    job = desires("Run", SUSPENDED | {"attempt": 1, "launch": 2, "attempts": RAN, "tasks": TASKS})

    resumed = patched(job, decide(observed(job), NOW).patch)

    assert (resumed.attempt, resumed.launch) == (2, 1)
    assert resumed.status["tasks"] == [
        TASKS[0],
        {"name": "load", "state": "WAITING"},
        {"name": "tidy", "state": "WAITING"},
    ]
    assert resumed.status["progress"] == "1/3"
    assert resumed.status["attempts"] == RAN
    assert decide(observed(resumed), NOW).create


def test_an_order_is_told_once_and_the_time_to_obey_begins_with_the_first():
    job = desires("Suspend", working_status())
    job = patched(job, decide(observed(job, make_pod()), NOW).patch)
    assert decide(observed(job, make_pod()), after(10)).patch is None

    changed = desires("Cancel", dict(job.status))
    patch = decide(observed(changed, make_pod()), after(20)).patch

    assert patch["order"] == {"desiredState": "Cancel", "time": "2026-03-01T12:00:00Z"}
    changed = patched(changed, patch)
    assert brief(decide(observed(changed, make_pod()), after(30))) == {
        "delete": [POD_UID],
        "again": 5.0,
    }


def test_suspending_before_the_start_over_and_over_again_gives_no_job_up():
    job = desires("Run")
    for number in range(2 * MAX_LAUNCHES):
        job = desires("Suspend", dict(job.status))
        pod = make_pod(uid=f"pod-{number}", attempt=job.attempt, launch=job.launch)
        job = patched(job, decide(observed(job, pod), NOW).patch)
        job = desires("Run", dict(job.status))
        job = patched(job, decide(observed(job), NOW).patch)

    assert decide(observed(job), NOW).create
    late = ended_pod("", exit_code=1, attempt=job.attempt, launch=job.launch, uid="late")
    assert decide(observed(job, late), NOW).patch["reason"] == "Relaunching"


def test_cancelling_keeps_what_the_run_did_and_its_claim():
    pod = ended_pod(make_message("SFW", interrupted=1), exit_code=2)
    job = obeying("Cancel")

    cancelled = patched(job, decide(observed(job, pod), NOW).patch)

    assert cancelled.claim == job.claim
    assert cancelled.order is None
    assert [t["state"] for t in cancelled.status["tasks"]] == ["SUCCEEDED", "FAILED", "WAITING"]
    assert cancelled.status["completionTime"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(("order", "word"), [("Cancel", "cancelled"), ("Suspend", "suspended")])
def test_a_run_that_was_stopped_and_told_nothing_is_not_called_unstarted(order, word):
    job = obeying(order)
    vanished = observed(job, absent=frozenset({POD_UID}), gone_seconds=60.0)
    killed = observed(job, ended_pod("", exit_code=137))

    for seen, words in (
        (vanished, "its runner did not report"),
        (killed, "before it could tell the result"),
    ):
        message = decide(seen, NOW).patch["message"]

        assert message.startswith(f"{word}, but "), message
        assert words in message
        assert "set spec.desiredState to Run" in message
