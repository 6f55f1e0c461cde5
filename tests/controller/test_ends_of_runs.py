"""How a run's end is told: lost, interrupted, stopped by its deadline. Pure."""

from dataclasses import replace

import pytest

from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import Refused, Unreadable
from factotum.core.wire import termination
from factotum.kube.resource import format_time
from support.builders.jobs import (
    CLAIM_ID,
    NOW,
    POD_UID,
    TASKS,
    after,
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

WORKING = make_job(status=working_status())
POD_GONE = make_job(status=working_status(reason="PodGone"))
POD = make_pod()
UNSTARTED = termination.unstarted(CLAIM_ID).decode()
CUT = make_job(status=working_status(progress="2/3", tasks=[{"name": "load", "state": "FAILED"}]))
"""A job so big that the status has only part of its tasks."""


def test_a_lost_runs_running_tasks_failed_for_that_reason():
    seen = observed(
        WORKING, ended_pod("", exit_code=137, reason="OOMKilled"), report=make_report("SRW")
    )

    patch = decide(seen, NOW).patch

    assert [t["state"] for t in patch["tasks"]] == ["SUCCEEDED", "FAILED", "WAITING"]
    assert patch["tasks"][1]["errorMessage"].startswith("OOMKilled: ")
    assert patch["progress"] == "2/3"


def test_a_lost_run_is_known_by_the_pods_last_word_if_that_is_newer():
    pod = ended_pod(make_message("SSR", final=False, sequence=5), exit_code=137)
    seen = observed(WORKING, pod, report=make_report("SRW", sequence=3))

    patch = decide(seen, NOW).patch

    assert [t["state"] for t in patch["tasks"]] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]


def test_a_lost_run_is_known_by_the_report_if_that_is_newer():
    pod = ended_pod(make_message("RWW", final=False, sequence=2), exit_code=137)
    seen = observed(WORKING, pod, report=make_report("SRW", sequence=3))

    patch = decide(seen, NOW).patch

    assert [t["state"] for t in patch["tasks"]] == ["SUCCEEDED", "FAILED", "WAITING"]


def test_a_lost_run_that_a_restarted_controller_finds_is_known_by_the_status():
    tasks = [
        {"name": "extract", "state": "SUCCEEDED", "returnCode": 0, "durationSeconds": 2.0},
        {"name": "load", "state": "RUNNING", "startedAt": "2026-03-01T12:00:00.000Z"},
        {"name": "tidy", "state": "WAITING"},
    ]
    job = make_job(status=working_status(sequence=6, progress="1/3", tasks=tasks))

    patch = decide(observed(job, ended_pod(""), factfile=None), NOW).patch

    assert patch["tasks"][0] == tasks[0]
    assert patch["tasks"][1]["state"] == "FAILED"
    assert patch["tasks"][1]["startedAt"] == tasks[1]["startedAt"]


def test_a_lost_run_of_which_the_status_has_only_part_keeps_that_part():
    patch = decide(observed(CUT, ended_pod("")), NOW).patch

    assert [t["state"] for t in patch["tasks"]] == ["WAITING", "FAILED", "WAITING"]


@pytest.mark.parametrize(
    "fact",
    [
        Unreadable(reason="FactfileNotFound", message="gone"),
        Refused(reason="FactfileChanged", message="other"),
    ],
    ids=["gone", "changed"],
)
def test_names_that_cannot_be_had_any_more_are_numbers(fact):
    seen = observed(CUT, POD, factfile=fact, report=make_report("SFS", final=True))

    patch = decide(seen, NOW).patch

    assert patch["outcome"] == "FAILED"
    assert [t["name"] for t in patch["tasks"]] == ["task 1", "task 2", "task 3"]


def test_a_released_claim_is_refused_from_then_on():
    patch = decide(observed(WORKING, ended_pod(UNSTARTED, exit_code=75)), NOW).patch

    job = patched(WORKING, patch)

    assert (job.state, job.attempt, job.launch) == ("QUEUED", 1, 2)
    assert job.claim is None
    assert job.sequence == 0


def test_a_verdict_of_the_pod_is_counted_after_every_report():
    job = make_job(status=working_status(sequence=12))

    patch = decide(observed(job, ended_pod(make_message("SSS", sequence=7))), NOW).patch

    assert patch["sequence"] == 13


@pytest.mark.parametrize(
    ("pods", "cause"),
    [
        pytest.param((POD,), "its Pod was told to stop", id="the Pod stays"),
        pytest.param((make_pod(deleting=True),), "its Pod was deleted", id="the Pod goes"),
        pytest.param((), "its Pod was deleted", id="the Pod went"),
    ],
)
def test_an_interrupted_run_says_why(pods, cause):
    report = make_report("SFW", final=True, interrupted=1)

    patch = decide(observed(WORKING, *pods, report=report, final_seconds=10.0), NOW).patch

    assert patch["reason"] == "Interrupted"
    assert patch["message"].startswith(f"the run was shut down: {cause}. ")


def test_an_interrupted_run_has_its_pods_own_reason():
    pod = make_pod(reason="DeadlineExceeded", message="too long", phase="Failed")
    report = make_report("SFW", final=True, interrupted=1)

    patch = decide(observed(WORKING, pod, report=report), NOW).patch

    assert patch["reason"] == "DeadlineExceeded"
    assert "too long" in patch["message"]


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        pytest.param(10, "DeadlineExceeded", id="it has passed"),
        pytest.param(60, "Interrupted", id="it has not"),
    ],
)
def test_a_run_stopped_by_its_deadline_says_so_before_the_kubelet_does(seconds, reason):
    job = make_job(status=working_status(), spec={"activeDeadlineSeconds": seconds})
    pod = make_pod(started=format_time(after(-10)))
    report = make_report("SFW", final=True, interrupted=1)

    patch = decide(observed(job, pod, report=report, final_seconds=seconds - 10.0), NOW).patch

    assert patch["reason"] == reason


def test_a_run_that_could_not_begin_tells_the_runners_words():
    report = make_report("WWW", final=True, errors={0: "the webhook's URL is invalid"})

    patch = decide(observed(WORKING, POD, report=report), NOW).patch

    assert patch["message"] == "the webhook's URL is invalid"


def test_a_run_of_no_tasks_succeeds():
    job = make_job(status=working_status(progress="0/0", tasks=[]))
    plan = replace(make_plan(), task_names=())

    patch = decide(observed(job, POD, factfile=plan, report=make_report("", final=True)), NOW).patch

    assert patch["outcome"] == "SUCCEEDED"
    assert patch["progress"] == "0/0"


def test_progress_keeps_the_reason_why_the_pod_is_missing():
    seen = observed(POD_GONE, absent=frozenset({POD_UID}), report=make_report("SRW"))

    job = patched(POD_GONE, decide(seen, NOW).patch)

    assert job.status["reason"] == "PodGone"
    assert [t["name"] for t in job.status["tasks"]] == list(TASKS)
