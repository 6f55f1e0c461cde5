"""Runs that somebody shut down: who it was is told by the Pod, once nothing runs in it any more.

Pure, and the whole controller but for its servers, on an API in memory and a clock that is held.
"""

from dataclasses import replace

import pytest

from factotum.controller.claims.judging import Granted
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.decide.running import EXPLAIN_SECONDS
from factotum.controller.decide.table import decide
from support.builders.jobs import (
    CLAIM_ID,
    JOB_UID,
    NOW,
    POD_UID,
    brief,
    ended_pod,
    make_job,
    make_message,
    make_pod,
    make_report,
    observed,
    raw_pod,
    working_status,
)
from support.model.stage import NAMESPACE, SPEC, Stage

US = PodIdentity(namespace=NAMESPACE, pod_name="p", pod_uid=POD_UID)
WORKING = make_job(status=working_status())
TOLD = make_job(status=working_status(sequence=5))
"""The last report is in the status."""
LAST = make_report("SFW", final=True, interrupted=1, sequence=5)
BY_KUBELET = {"reason": "Evicted", "message": "the node was low on memory", "phase": "Failed"}
OPEN = {"patch": "progress 2/3"}

ROWS = [
    pytest.param(
        observed(WORKING, make_pod(), report=LAST), OPEN, id="nobody has said yet who it was"
    ),
    pytest.param(
        observed(TOLD, make_pod(), report=LAST, final_seconds=3.0),
        {"again": 7.0},
        id="that is waited for",
    ),
    pytest.param(
        observed(TOLD, make_pod(**BY_KUBELET), report=LAST, final_seconds=3.0),
        {"patch": "DONE/FAILED Evicted", "event": "Warning"},
        id="the kubelet says it",
    ),
    pytest.param(
        observed(TOLD, replace(ended_pod(make_message("SFW", interrupted=1)), **BY_KUBELET)),
        {"patch": "DONE/FAILED Evicted", "event": "Warning"},
        id="the kubelet says it to an operator that was restarted meanwhile",
    ),
    pytest.param(
        observed(TOLD, ended_pod("", exit_code=2), report=LAST, final_seconds=3.0),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="the Pod ends without a word of it",
    ),
    pytest.param(
        observed(TOLD, make_pod(), report=LAST, final_seconds=EXPLAIN_SECONDS),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="the Pod does not end",
    ),
    pytest.param(
        observed(TOLD, make_pod(deleting=True), report=LAST, final_seconds=1.0),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="the Pod is deleted",
    ),
    pytest.param(
        observed(TOLD, absent=frozenset({POD_UID}), report=LAST, final_seconds=1.0),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="the Pod is gone",
    ),
    pytest.param(
        observed(WORKING, make_pod(disruption=("EvictionByEvictionAPI", "so")), report=LAST),
        {"patch": "DONE/FAILED Evicted", "event": "Warning"},
        id="it was said before",
    ),
    pytest.param(
        observed(WORKING, make_pod(), report=make_report("SSS", final=True)),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a run that was not shut down is over with its last report",
    ),
    pytest.param(
        observed(
            make_job(status=working_status(), deletionTimestamp="2026-03-01T12:00:00Z"),
            make_pod(),
            report=LAST,
        ),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="the job is being deleted: that is who it was",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_every_row(seen, expected):
    assert brief(decide(seen, NOW)) == expected


def two_tasks():
    tasks = [{"name": name, "state": "WAITING"} for name in "ab"]
    status = working_status(progress="0/2", tasks=tasks)
    # Of what was accepted nothing is known, so what is there now counts.
    del status["factfileHash"]
    return status


async def a_run_that_was_shut_down():
    """Return a stage on which a runner has told of it, and what that runner was answered."""
    stage = Stage()
    stage.job(spec=SPEC, status=two_tasks())
    stage.pod()
    last = make_report("SF", claim_id=CLAIM_ID, final=True, interrupted=1, sequence=7)
    return stage, await stage.desk.report(JOB_UID, 1, last, US)


async def test_the_runner_is_answered_at_once_so_that_its_pod_can_end_and_say_who_it_was():
    stage, answer = await a_run_that_was_shut_down()
    between = stage.status()
    status = {"phase": "Failed", "reason": "Preempting", "message": "a critical Pod"}
    stage.cache.put_pod(raw_pod(status=status, resourceVersion="900"))
    done = await stage.look()

    assert answer == Granted(body={"order": None})
    assert (between["state"], between["sequence"]) == ("WORKING", 7)
    assert [task["state"] for task in between["tasks"]] == ["SUCCEEDED", "FAILED"]
    assert done == ["PATCH factotumjobs Preempting", "POST events Warning Preempting"]
    assert "a critical Pod" in stage.status()["message"]
    assert [task["state"] for task in stage.status()["tasks"]] == ["SUCCEEDED", "FAILED"]


async def test_a_pod_that_does_not_end_keeps_the_job_open_for_seconds_only():
    stage, _ = await a_run_that_was_shut_down()
    assert await stage.look() == []
    stage.clock.move(EXPLAIN_SECONDS)

    assert await stage.look() == [
        "PATCH factotumjobs Interrupted",
        "POST events Warning Interrupted",
    ]
