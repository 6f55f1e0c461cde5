"""Status patches: their bounds and their words.

All pure. The bounds are tried with 2,000 tasks, the most a factfile has.
"""

import json

import pytest

from factotum.controller.decide import status
from factotum.controller.decide.status import MAX_TASK_BYTES
from factotum.kube.resource import format_time
from support.builders.jobs import (
    NOW,
    done_status,
    make_job,
    make_plan,
    make_pod,
    make_report,
    patched,
    working_status,
)

STATES = ("WAITING", "RUNNING", "SUCCEEDED", "SUCCEEDED_NO_OP", "FAILED", "SKIPPED")


def many(count, state="SUCCEEDED", **fields):
    return [{"name": f"task-{index}", "state": state} | fields for index in range(count)]


def size(tasks):
    return len(json.dumps(tasks, separators=(",", ":"), ensure_ascii=False).encode())


def test_a_small_task_list_is_kept_as_it_is():
    tasks = many(3, returnCode=0, durationSeconds=1.5)

    fields = status.task_fields(tasks)

    assert fields["tasks"] == tasks
    assert fields["progress"] == "3/3"


def test_a_whole_list_is_not_counted_beside_it():
    job = make_job(status=working_status(taskCounts={"WAITING": 3000}))

    after_report = patched(job, status.progressed(job, make_report("SSS"), ["a", "b", "c"]))

    assert "taskCounts" not in after_report.status


def test_progress_counts_what_was_executed():
    tasks = [{"name": state, "state": state} for state in STATES]

    fields = status.task_fields(tasks)

    assert fields["progress"] == "3/6"


def test_two_thousand_plain_tasks_fit_as_they_are():
    tasks = many(2000)

    assert status.task_fields(tasks)["tasks"] == tasks


def test_error_texts_are_cut_first():
    tasks = many(300, "FAILED", errorMessage="x" * 1000)

    fields = status.task_fields(tasks)

    assert [t["name"] for t in fields["tasks"]] == [t["name"] for t in tasks]
    assert {t["errorMessage"] for t in fields["tasks"]} == {"x" * 160}


def test_then_tasks_that_succeeded_keep_their_names_alone():
    tasks = many(1950, returnCode=0, durationSeconds=1.234, startedAt="2026-03-01T12:00:00.000Z")
    bad = {"name": "bad", "state": "FAILED", "returnCode": 5, "errorMessage": "x" * 100}
    tasks[7:7] = [bad]

    kept = status.task_fields(tasks)["tasks"]

    assert [t["name"] for t in kept] == [t["name"] for t in tasks]
    assert kept[7] == bad
    assert kept[0] == {"name": "task-0", "state": "SUCCEEDED"}


def test_then_only_numbers_stay_of_tasks_that_need_no_attention():
    tasks = [{"name": f"{index}" * 20, "state": "SUCCEEDED"} for index in range(1950)]
    tasks[7:7] = [{"name": "bad", "state": "FAILED", "errorMessage": "x" * 500}]

    fields = status.task_fields(tasks)

    assert [t["name"] for t in fields["tasks"]] == ["bad"]
    assert fields["taskCounts"]["SUCCEEDED"] == 1950
    assert fields["progress"] == "1951/1951"


def test_tasks_that_wait_go_before_those_that_succeeded():
    done = [{"name": f"{index}" * 20, "state": "SUCCEEDED"} for index in range(700)]
    tasks = done + many(1300, "WAITING", errorMessage="x" * 100)

    kept = status.task_fields(tasks)["tasks"]

    assert kept == done


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("text", ["x" * 500, "ü" * 500, "\U0001f600" * 500])
def test_two_thousand_tasks_with_long_errors_fit_whatever_their_state(state, text):
    tasks = many(2000, state, errorMessage=text, returnCode=1, durationSeconds=1.5)

    fields = status.task_fields(tasks)

    assert size(fields["tasks"]) <= MAX_TASK_BYTES
    is_cut = len(fields["tasks"]) < 2000
    counts = dict.fromkeys(STATES, 0) | {state: 2000}
    assert fields["taskCounts"] == (counts if is_cut else None)


def test_names_alone_cannot_make_the_status_too_large():
    tasks = [{"name": f"{index}-" + "n" * 1000, "state": "FAILED"} for index in range(2000)]

    fields = status.task_fields(tasks)

    assert 0 < size(fields["tasks"]) <= MAX_TASK_BYTES


def test_the_whole_status_of_the_largest_job_stays_under_its_bound():
    names = [f"task-{index}" for index in range(2000)]
    report = make_report("F" * 2000, final=True, errors=dict.fromkeys(range(2000), "x" * 500))
    job = make_job(status=working_status(progress="0/2000"))
    patch = status.progressed(job, report, names) | status.finished(
        job, succeeded=False, reason="TaskFailed", message="m" * 9999, now=NOW
    )

    whole = patched(job, patch).status

    assert len(json.dumps(whole, ensure_ascii=False).encode()) <= 128 * 1024


def test_cutting_does_not_change_the_list_that_was_given():
    tasks = many(2000, "FAILED", errorMessage="x" * 500)

    status.task_fields(tasks)

    assert tasks[0]["errorMessage"] == "x" * 500


def test_a_report_of_other_tasks_is_no_report_of_these():
    with pytest.raises(ValueError, match="longer"):
        status.tasks_of(make_report("SS"), ["a", "b", "c"])


def test_a_claim_is_one_whole_step():
    job = make_job(
        status={"state": "QUEUED", "launch": 2, "nextLaunchTime": "2026-03-01T11:00:00Z"}
    )

    after_claim = patched(job, status.claimed(job, make_plan(), make_pod(launch=2), "id", NOW))

    assert (after_claim.state, after_claim.attempt, after_claim.launch) == ("WORKING", 1, 2)
    assert after_claim.claim.id == "id"
    assert after_claim.claim.pod_uid == make_pod().uid
    assert after_claim.status["progress"] == "0/3"
    assert after_claim.status["startTime"] == format_time(NOW)
    assert after_claim.status["factfileHash"] == make_plan().digest
    assert "nextLaunchTime" not in after_claim.status


def test_waiting_is_told_again_only_if_there_is_something_new():
    job = make_job()
    queued = patched(job, status.waiting(job, "NodeNotReady", "cordoned", NOW))

    assert status.waiting(queued, "NodeNotReady", "cordoned", NOW) is None
    assert status.waiting(queued, "NodeNotReady", "not ready", NOW)["message"] == "not ready"
    assert status.waiting(queued, "PodForbidden", "full", NOW)["reason"] == "PodForbidden"


def test_a_finished_job_has_its_end_and_no_next_launch():
    job = make_job(status=working_status(nextLaunchTime="2026-03-01T11:00:00Z"))

    done = patched(
        job, status.finished(job, succeeded=True, reason="Succeeded", message="m", now=NOW)
    )

    assert done.is_done
    assert done.status["completionTime"] == format_time(NOW)
    assert "nextLaunchTime" not in done.status
    assert done.status["outcome"] == done_status()["outcome"]
