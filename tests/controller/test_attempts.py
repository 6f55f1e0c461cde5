"""Another attempt of a job: by ``retry``, by the annotation, after the Pods of the one before.

All pure. Which ends are tried again is a column of the table of reasons; here it is what is
written then, and when.
"""

import pytest

from factotum.controller.decide.attempts import LINGER_SECONDS, MAX_BACKOFF_SECONDS, MAX_RECORDS
from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import Ask, Refused
from factotum.kube.names import ANNOTATION_RESUME
from support.builders.jobs import (
    NOW,
    POD_UID,
    after,
    brief,
    done_status,
    ended_pod,
    make_job,
    make_message,
    make_plan,
    make_pod,
    make_report,
    observed,
    patched,
    working_status,
)

FAILS = make_report("SFK", final=True)
QUEUED = {"state": "QUEUED", "outcome": "WAITING", "observedGeneration": 1}
FAILED = done_status(outcome="FAILED", reason="TaskFailed", attempt=1)
TASKS = [
    {"name": "extract", "state": "SUCCEEDED", "returnCode": 0, "durationSeconds": 1.5},
    {"name": "load", "state": "FAILED", "returnCode": 3, "errorMessage": "it exited with 3"},
    {"name": "tidy", "state": "SKIPPED", "errorMessage": "the task 'load' failed"},
]


def retrying(status=None, *, desired="Run", **retry):
    spec = {"factfile": {}, "desiredState": desired, "retry": {"limit": 2} | retry}
    return make_job(spec=spec, status=working_status() if status is None else status)


def annotated(value, status, *, desired="Run", **fields):
    return make_job(
        spec={"factfile": {}, "desiredState": desired},
        status=status,
        annotations={ANNOTATION_RESUME: value, "another": "one"},
        **fields,
    )


RETRIES = [
    pytest.param(
        observed(retrying(), make_pod(), report=FAILS),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a task that failed",
    ),
    pytest.param(
        observed(retrying(), ended_pod("", exit_code=137, reason="OOMKilled")),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a run that was out of memory",
    ),
    pytest.param(
        observed(retrying(), ended_pod("", exit_code=137, reason="Error")),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a runner that was killed",
    ),
    *(
        pytest.param(
            observed(retrying(), make_pod(phase="Failed", reason=word)),
            {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
            id=f"what Kubernetes calls {word}",
        )
        for word in ("Evicted", "Preempting", "NodeLost", "Shutdown", "DeadlineExceeded")
    ),
    pytest.param(
        observed(retrying(QUEUED), make_pod(phase="Failed", reason="DeadlineExceeded")),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a Pod that did not start before its deadline",
    ),
    pytest.param(
        observed(
            retrying(),
            make_pod(deleting=True),
            report=make_report("SFW", final=True, interrupted=1),
        ),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a run that was interrupted",
    ),
    pytest.param(
        observed(retrying(), absent=frozenset({POD_UID}), gone_seconds=59.0),
        {"patch": "WORKING/RUNNING PodGone", "again": 5.0},
        id="nothing yet, while a runner whose Pod vanished may still run",
    ),
    pytest.param(
        observed(retrying(), absent=frozenset({POD_UID}), gone_seconds=60.0),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a run whose Pod vanished a minute ago",
    ),
    pytest.param(
        observed(retrying(desired="Suspend"), make_pod(), report=FAILS),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="a failure under a suspension",
    ),
]

ENDS = [
    pytest.param(
        observed(retrying(working_status(retries=2)), make_pod(), report=FAILS),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a limit that is reached",
    ),
    pytest.param(
        observed(retrying(limit=0), make_pod(), report=FAILS),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a limit of none",
    ),
    pytest.param(
        observed(retrying(), make_pod(), report=make_report("SSS", final=True)),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a success",
    ),
    pytest.param(
        observed(retrying(desired="Cancel"), make_pod(), report=FAILS),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a failure under a cancellation",
    ),
    pytest.param(
        observed(
            retrying(), make_pod(), report=make_report("WWW", final=True, errors={0: "no URL"})
        ),
        {"patch": "DONE/FAILED NotRun", "event": "Warning"},
        id="a run that never was",
    ),
    pytest.param(
        observed(retrying(QUEUED), factfile=Refused(reason="InvalidFactfile", message="bad")),
        {"patch": "DONE/FAILED InvalidFactfile", "event": "Warning"},
        id="a factfile that is refused",
    ),
    pytest.param(
        observed(
            retrying(QUEUED | {"attempt": 1, "launch": 6}), ended_pod("", exit_code=1, launch=6)
        ),
        {"patch": "DONE/FAILED LaunchFailed", "event": "Warning"},
        id="Pods that never start",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), RETRIES)
def test_what_is_tried_again(seen, expected):
    assert brief(decide(seen, NOW)) == expected


@pytest.mark.parametrize(("seen", "expected"), ENDS)
def test_what_is_the_end_though_there_is_a_retry(seen, expected):
    assert brief(decide(seen, NOW)) == expected


def test_an_attempt_begins_with_one_patch_that_keeps_what_ended_well():
    job = retrying(working_status(tasks=TASKS, startTime="2026-03-01T11:59:00Z"))

    again = patched(job, decide(observed(job, make_pod(), report=FAILS), NOW).patch)

    assert (again.attempt, again.launch, again.claim, again.sequence) == (2, 1, None, 0)
    assert [t["state"] for t in again.status["tasks"]] == ["SUCCEEDED", "WAITING", "WAITING"]
    assert again.status["progress"] == "1/3"
    assert again.status["nextLaunchTime"] == "2026-03-01T12:00:10Z"
    assert "attempt 2 (retry 1 of 2) starts at 2026-03-01T12:00:10Z" in again.message
    assert "attempt 1 failed, TaskFailed: " in again.message
    assert again.status["attempts"] == [
        {
            "attempt": 1,
            "podName": "nightly-1-1-0",
            "nodeName": "node-a",
            "startTime": "2026-03-01T11:59:00Z",
            "completionTime": "2026-03-01T12:00:00Z",
            "reason": "TaskFailed",
        }
    ]
    gone = {"startTime", "completionTime", "claim", "sequence", "order"}
    assert not gone & set(again.status)


def test_restart_keeps_nothing():
    job = retrying(working_status(tasks=TASKS), mode="Restart")

    again = patched(job, decide(observed(job, make_pod(), report=FAILS), NOW).patch)

    assert [t["state"] for t in again.status["tasks"]] == ["WAITING"] * 3
    assert again.status["progress"] == "0/3"


def test_a_task_that_ended_the_job_early_keeps_its_result():
    job = retrying()
    report = make_report("NFK", final=True)

    again = patched(job, decide(observed(job, make_pod(), report=report), NOW).patch)

    assert [t["state"] for t in again.status["tasks"]] == ["SUCCEEDED_NO_OP", "WAITING", "WAITING"]


def test_what_a_lost_run_had_done_is_kept():
    pod = ended_pod(make_message("SRW", final=False, sequence=4), exit_code=137)
    job = retrying()

    again = patched(job, decide(observed(job, pod), NOW).patch)

    assert [t["state"] for t in again.status["tasks"]] == ["SUCCEEDED", "WAITING", "WAITING"]


def test_a_big_job_keeps_its_results_by_their_letters():
    names = tuple(f"task-{number:04}-{'x' * 60}" for number in range(3000))
    plan = make_plan(*names)
    job = retrying(working_status(progress="0/3000", tasks=[]))
    states = "S" * 1499 + "F" + "K" * 1500
    report = make_report(states, final=True)
    ended = decide(observed(job, make_pod(), factfile=plan, report=report), NOW)
    again = patched(job, ended.patch)

    assert again.status["taskStates"] == "S" * 1499 + "W" * 1501
    assert again.status["progress"] == "1499/3000"
    assert again.status["taskCounts"]["SUCCEEDED"] == 1499


@pytest.mark.parametrize(
    ("retry", "retries", "seconds"),
    [
        ({}, 0, 10),
        ({}, 1, 20),
        ({"backoffSeconds": 3}, 4, 48),
        ({"backoffSeconds": 0}, 9, 0),
        ({"backoffSeconds": 30}, 20, MAX_BACKOFF_SECONDS),
        ({"backoffSeconds": 86400}, 99, MAX_BACKOFF_SECONDS),
    ],
)
def test_each_retry_waits_twice_as_long_as_the_one_before(retry, retries, seconds):
    job = retrying(working_status(retries=retries), limit=100, **retry)

    again = patched(job, decide(observed(job, make_pod(), report=FAILS), NOW).patch)

    assert again.retries == retries + 1
    assert again.status["nextLaunchTime"] == after(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
    if seconds:
        assert brief(decide(observed(again), NOW)) == {"again": float(seconds)}
    assert decide(observed(again), after(seconds)).create


def test_a_retry_that_waits_observes_what_is_changed_of_it():
    job = retrying(QUEUED | {"reason": "Retrying", "nextLaunchTime": "2026-03-01T12:10:00Z"})
    stale = job.with_status({**job.status, "observedGeneration": 0})

    assert brief(decide(observed(stale), NOW)) == {
        "patch": "QUEUED/WAITING Retrying",
        "again": 600.0,
    }


def test_only_the_newest_attempts_are_remembered():
    records = [{"attempt": number, "reason": "Lost"} for number in range(3, 3 + MAX_RECORDS)]
    job = retrying(working_status(attempt=13, attempts=records), limit=100)

    again = patched(job, decide(observed(job, make_pod(), report=FAILS), NOW).patch)

    assert [entry["attempt"] for entry in again.status["attempts"]] == list(range(4, 14))


# --- the Pods of the attempt before ------------------------------------------------------------

RAN = [{"attempt": 1, "podName": make_pod().name, "reason": "TaskFailed"}]
SECOND = make_job(
    status=QUEUED | {"attempt": 2, "nextLaunchTime": "2026-03-01T12:00:00Z", "attempts": RAN}
)


def test_a_pod_of_an_earlier_attempt_that_never_ran_is_deleted_at_once():
    late = make_pod(uid="late", launch=2)

    assert brief(decide(observed(SECOND, late), NOW)) == {"delete": ["late"], "again": 5.0}


def test_a_runner_that_still_sends_events_is_waited_for():
    seen = observed(SECOND, make_pod())

    assert brief(decide(seen, after(LINGER_SECONDS - 1))) == {"again": 5.0}
    assert brief(decide(seen, after(LINGER_SECONDS))) == {"delete": [POD_UID], "again": 5.0}
    assert decide(observed(SECOND, ended_pod("")), NOW).create


# --- the annotation ----------------------------------------------------------------------------

WANTED = [
    pytest.param(
        observed(annotated("1", FAILED)),
        {"ask": {Ask.RESULTS}},
        id="a value on a job that has failed needs all its results",
    ),
    pytest.param(
        observed(annotated("1", FAILED), results=FAILED),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a value on a job that has failed begins another attempt",
    ),
    pytest.param(
        observed(annotated("2", FAILED | {"resumeSeen": "1"}), results=FAILED),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="another value begins another one",
    ),
    pytest.param(
        observed(annotated("1", FAILED | {"resumeSeen": "1"}), results=FAILED),
        {},
        id="the same value asks for nothing",
    ),
    pytest.param(
        observed(annotated("", FAILED), results=FAILED), {}, id="no value asks for nothing"
    ),
    pytest.param(
        observed(annotated("1", done_status()), results=done_status()),
        {},
        id="a success is never run again",
    ),
    pytest.param(
        observed(annotated("1", FAILED, desired="Cancel"), results=FAILED),
        {},
        id="a value waits while something else is desired",
    ),
    pytest.param(
        observed(annotated("1", FAILED, deletionTimestamp="2026-03-01T12:00:00Z"), results=FAILED),
        {},
        id="a job that is being deleted is not run again",
    ),
    pytest.param(
        observed(make_job(status=FAILED | {"reason": "Cancelled"}), results=FAILED),
        {"patch": "QUEUED/WAITING Resumed", "event": "Normal"},
        id="a cancellation that is taken back begins another attempt",
    ),
    pytest.param(
        observed(
            make_job(
                spec={"factfile": {}, "desiredState": "Cancel"},
                status=FAILED | {"reason": "Cancelled"},
            ),
            results=FAILED,
        ),
        {},
        id="a cancelled job is left alone",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), WANTED)
def test_a_job_that_is_done(seen, expected):
    assert brief(decide(seen, NOW)) == expected


def test_a_resume_keeps_results_and_history_and_counts_retries_anew():
    whole = FAILED | {"tasks": TASKS, "retries": 2, "attempts": [{"attempt": 1}], "attempt": 2}
    job = annotated("1", FAILED | {"attempt": 2})

    patch = decide(observed(job, results=whole), NOW).patch
    again = patched(job.with_status(whole), patch)

    assert (again.attempt, again.retries, again.status["resumeSeen"]) == (3, 0, "1")
    assert [t["state"] for t in again.status["tasks"]] == ["SUCCEEDED", "WAITING", "WAITING"]
    assert [entry["attempt"] for entry in again.status["attempts"]] == [1, 2]
    assert "completionTime" not in again.status


def test_a_value_that_is_there_when_a_run_ends_is_seen():
    job = annotated("1", working_status())

    ended = patched(job, decide(observed(job, make_pod(), report=FAILS), NOW).patch)

    assert ended.status["resumeSeen"] == "1"
    assert decide(observed(ended, results=dict(ended.status)), NOW).patch is None
