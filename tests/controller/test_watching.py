"""The decision table's second half: a job that a runner has claimed.

All pure. Each row is one way the facts can be, and everything that is done
about it; the tests below the table look at what stands in the status then.
"""

from dataclasses import replace

import pytest

from factotum.controller.decide.launching import MAX_LAUNCHES
from factotum.controller.decide.running import GONE_SECONDS
from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import Ask
from factotum.core.wire import termination
from factotum.kube.resource import format_time
from support.builders.jobs import (
    CLAIM_ID,
    NOW,
    OTHER_CLAIM_ID,
    POD_UID,
    brief,
    ended_pod,
    make_job,
    make_message,
    make_pod,
    make_report,
    observed,
    patched,
    working_status,
)

WORKING = make_job(status=working_status())
POD_GONE = make_job(status=working_status(reason="PodGone"))
HALF_WAY = make_job(status=working_status(sequence=4))
POD = make_pod()
GONE = frozenset({POD_UID})
SHUT_DOWN = make_report("SFW", final=True, interrupted=1)
UNSTARTED = termination.unstarted(CLAIM_ID).decode()
CUT = make_job(status=working_status(progress="2/3", tasks=[{"name": "load", "state": "FAILED"}]))
"""A job so big that the status has only part of its tasks."""

ROWS = [
    pytest.param(observed(WORKING, POD), {}, id="a run without news is left alone"),
    pytest.param(
        observed(WORKING, make_pod(deleting=True)),
        {},
        id="a run whose Pod is being deleted may still tell its result",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("RWW")),
        {"patch": "progress 0/3"},
        id="a report is progress",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("RWW"), progress_due=False),
        {"again": 1.0},
        id="progress that comes too soon waits",
    ),
    pytest.param(
        observed(HALF_WAY, POD, report=make_report("RWW", sequence=4)),
        {},
        id="a report that was taken already is no news",
    ),
    pytest.param(
        observed(HALF_WAY, POD, report=make_report("RWW", sequence=3)),
        {},
        id="an older report is no news",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SSS", final=True)),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a final report is the verdict",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SSS", final=True), progress_due=False),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a verdict does not wait for its turn",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SFK", final=True)),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a failed task fails the job",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SNK", final=True)),
        {"patch": "DONE/SUCCEEDED EarlyFinish", "event": "Normal"},
        id="an early finish is a success",
    ),
    pytest.param(
        observed(WORKING, POD, report=SHUT_DOWN, final_seconds=10.0),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="an interrupted run fails",
    ),
    pytest.param(
        observed(WORKING, POD, report=SHUT_DOWN.replace(states="SSS"), final_seconds=10.0),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="an interrupted run fails, whatever its codes",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SSW", final=True)),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="a run that left a task out did not succeed",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("SSR", final=True)),
        {"patch": "DONE/FAILED Interrupted", "event": "Warning"},
        id="a run that left a task running did not succeed",
    ),
    pytest.param(
        observed(WORKING, POD, report=make_report("WWW", final=True)),
        {"patch": "DONE/FAILED NotRun", "event": "Warning"},
        id="a runner that could start nothing fails the job",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SSS")), report=make_report("SRW")),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="the Pod's own verdict is enough",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SSS"), exit_code=137, reason="OOMKilled")),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="with a final verdict the exit code says nothing more",
    ),
    pytest.param(
        observed(
            WORKING, ended_pod(make_message("SSS"), exit_code=1, phase="Failed", reason="Evicted")
        ),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="with a final verdict the Pod's phase says nothing more",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SFK"))),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="a failure is read from the Pod though it exited with 0",
    ),
    pytest.param(
        observed(
            WORKING,
            ended_pod(make_message("SFK")),
            report=make_report("SSS", final=True, sequence=9),
        ),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="of two verdicts the report counts",
    ),
    pytest.param(
        observed(WORKING, ended_pod("")),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="exit code 0 without a verdict is no success",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SSS")[:-1])),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="a torn verdict is none",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SSS", final=False))),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="progress is no verdict, not even of all tasks",
    ),
    pytest.param(
        observed(WORKING, ended_pod(make_message("SSS", claim_id=OTHER_CLAIM_ID))),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="a verdict of another process is none",
    ),
    pytest.param(
        observed(WORKING, ended_pod("", exit_code=137, reason="OOMKilled")),
        {"patch": "DONE/FAILED OOMKilled", "event": "Warning"},
        id="a runner that ran out of memory says so",
    ),
    pytest.param(
        observed(WORKING, make_pod(phase="Failed", reason="Evicted", message="disk")),
        {"patch": "DONE/FAILED Evicted", "event": "Warning"},
        id="an evicted Pod says so",
    ),
    pytest.param(
        observed(WORKING, ended_pod(UNSTARTED, exit_code=75, reason="Error")),
        {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"},
        id="a runner that never started a task releases its claim",
    ),
    pytest.param(
        observed(
            make_job(status=working_status(launch=MAX_LAUNCHES)),
            ended_pod(UNSTARTED, launch=MAX_LAUNCHES, exit_code=75, reason="Error"),
        ),
        {"patch": "DONE/FAILED LaunchFailed", "event": "Warning"},
        id="runners that never start a task are bounded",
    ),
    pytest.param(
        observed(WORKING, ended_pod(termination.unstarted(OTHER_CLAIM_ID).decode())),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="another process cannot release the claim",
    ),
    pytest.param(observed(WORKING), {"ask": {Ask.CLAIMED_POD}}, id="a Pod out of sight"),
    pytest.param(
        observed(WORKING, make_pod(uid="another")),
        {"ask": {Ask.CLAIMED_POD}},
        id="another Pod is not the claim's",
    ),
    pytest.param(
        observed(WORKING, absent=frozenset({"another"})),
        {"ask": {Ask.CLAIMED_POD}},
        id="another Pod's absence says nothing",
    ),
    pytest.param(
        observed(WORKING, absent=GONE),
        {"patch": "WORKING/RUNNING PodGone", "again": 5.0},
        id="a Pod that is gone is told, its runner may still report",
    ),
    pytest.param(
        observed(POD_GONE, absent=GONE, gone_seconds=GONE_SECONDS - 0.1),
        {"again": 5.0},
        id="a Pod that is gone is told once",
    ),
    pytest.param(
        observed(POD_GONE, absent=GONE, gone_seconds=GONE_SECONDS),
        {"patch": "DONE/FAILED Lost", "event": "Warning"},
        id="a runner that is silent for too long is lost",
    ),
    pytest.param(
        observed(POD_GONE, absent=GONE, gone_seconds=9.0, report=make_report("SRW")),
        {"patch": "progress 1/3"},
        id="reports of a runner without a Pod are taken",
    ),
    pytest.param(
        observed(POD_GONE, absent=GONE, gone_seconds=99.0, report=make_report("SSS", final=True)),
        {"patch": "DONE/SUCCEEDED Succeeded", "event": "Normal"},
        id="a last report of a runner without a Pod is the verdict",
    ),
    pytest.param(
        observed(CUT, POD, factfile=None, report=make_report("SFS")),
        {"ask": {Ask.FACTFILE}},
        id="names that the status left out are read for progress",
    ),
    pytest.param(
        observed(CUT, POD, factfile=None, report=make_report("SFS", final=True)),
        {"ask": {Ask.FACTFILE}},
        id="names that the status left out are read for a verdict",
    ),
    pytest.param(
        observed(CUT, ended_pod(make_message("SFS")), factfile=None),
        {"ask": {Ask.FACTFILE}},
        id="names that the status left out are read for a Pod's verdict",
    ),
    pytest.param(
        observed(CUT, ended_pod(""), factfile=None),
        {"ask": {Ask.FACTFILE}},
        id="names that the status left out are read for a lost run",
    ),
    pytest.param(
        observed(WORKING, POD, factfile=None, report=make_report("SFK", final=True)),
        {"patch": "DONE/FAILED TaskFailed", "event": "Warning"},
        id="names that the status has are not read again",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_every_row(seen, expected):
    assert brief(decide(seen, NOW)) == expected


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_a_decision_that_was_carried_out_is_not_made_again(seen, expected):
    first = decide(seen, NOW)
    if first.patch is None:
        return
    job = patched(seen.job, first.patch)
    report = seen.report if job.claim else None

    again = decide(replace(seen, job=job, report=report), NOW)

    assert again.patch is None
    assert again.notice is None
    assert not again.delete


def test_a_verdict_tells_everything_of_every_task():
    report = make_report(
        "SFK",
        final=True,
        sequence=8,
        codes={0: 0, 1: 5},
        started={0: 1_772_366_400_000, 1: 1_772_366_401_500},
        seconds={0: 1.25, 1: 0.5},
        errors={1: "code 5", 2: "skipped"},
    )

    patch = decide(observed(WORKING, POD, report=report), NOW).patch

    assert patch["tasks"] == [
        {
            "name": "extract",
            "state": "SUCCEEDED",
            "startedAt": "2026-03-01T12:00:00.000Z",
            "durationSeconds": 1.25,
            "returnCode": 0,
        },
        {
            "name": "load",
            "state": "FAILED",
            "startedAt": "2026-03-01T12:00:01.500Z",
            "durationSeconds": 0.5,
            "returnCode": 5,
            "errorMessage": "code 5",
        },
        {"name": "tidy", "state": "SKIPPED", "errorMessage": "skipped"},
    ]
    assert patch["progress"] == "2/3"
    assert patch["sequence"] == 8
    assert patch["jobReference"] == "r" * 64
    assert patch["completionTime"] == format_time(NOW)
