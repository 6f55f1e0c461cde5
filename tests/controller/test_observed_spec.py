"""A status that is there says which spec was looked at, whatever the job waits for. Pure."""

import pytest

from factotum.controller.decide.table import decide
from support.builders.jobs import (
    NOW,
    POD_UID,
    brief,
    make_job,
    make_pod,
    make_report,
    observed,
    patched,
    working_status,
)

EARLIER = [{"attempt": 1, "podName": "nightly-1-1-0", "reason": "TaskFailed"}]
JUST_NOW = "2026-03-01T12:00:00Z"
MADE = {"pending_seconds": 1.0}


def stale(status, **metadata):
    """Return a job whose spec has changed since its status was written."""
    return make_job(status={"observedGeneration": 1} | status, generation=2, **metadata)


def queued(reason, **status):
    return {"state": "QUEUED", "outcome": "WAITING", "reason": reason, "message": "so"} | status


RELAUNCHING = stale(queued("Relaunching", launch=2))
AGAIN = {"attempt": 2, "attempts": EARLIER, "nextLaunchTime": JUST_NOW}
RESUMED = stale(queued("Resumed", **AGAIN))
RETRYING = stale(queued("Retrying", attempt=2, nextLaunchTime="2026-03-01T13:00:00Z"))
PENDING = make_pod(phase="Pending", launch=2)
RUNNING = make_pod(launch=2)
WORKING = stale(working_status())
GONE = stale(working_status(reason="PodGone"))
ABSENT = {"absent": frozenset({POD_UID}), "gone_seconds": 9.0}

ROWS = [
    pytest.param(observed(RELAUNCHING, PENDING, **MADE), id="its next Pod was made this moment"),
    pytest.param(
        observed(RELAUNCHING, RUNNING, pending_seconds=7.0, heard=True),
        id="its Pod has asked for it and was told to ask again",
    ),
    pytest.param(
        observed(RELAUNCHING, PENDING, pending_seconds=7.0, may_tell=False),
        id="its Pod takes long, and so do too many others",
    ),
    pytest.param(
        observed(stale(queued("PodPending")), PENDING, waited_seconds=1.0),
        id="a Pod says that it is of a later launch",
    ),
    pytest.param(
        observed(RELAUNCHING, creating_seconds=1.0), id="its next Pod is being made this moment"
    ),
    pytest.param(observed(RESUMED, make_pod()), id="the attempt before it still sends events"),
    pytest.param(observed(RETRYING), id="it waits for its next attempt"),
    pytest.param(observed(WORKING, make_pod()), id="it runs and nothing is new"),
    pytest.param(
        observed(WORKING, make_pod(), report=make_report("RWW"), progress_due=False),
        id="it runs, and what is new is told later",
    ),
    pytest.param(observed(GONE, **ABSENT), id="its Pod is gone and it is not yet lost"),
]


@pytest.mark.parametrize("seen", ROWS)
def test_a_change_of_the_spec_is_observed_at_the_next_look(seen):
    before = seen.job

    decision = decide(seen, NOW)

    after = patched(before, decision.patch)
    assert after.is_observed
    assert (after.state, after.reason, after.message) == (
        before.state,
        before.reason,
        before.message,
    )
    assert decision.notice is None
    assert decision.again_in is not None or before.claim is not None


def test_a_job_that_was_not_looked_at_yet_gets_no_status_for_that():
    blank = make_job(generation=2)

    assert brief(decide(observed(blank, make_pod(phase="Pending"), **MADE), NOW)) == {"again": 5.0}


def test_a_job_that_is_being_deleted_gets_no_status_for_that():
    going = stale(working_status(), deletionTimestamp=JUST_NOW)

    assert "patch" not in brief(decide(observed(going, make_pod()), NOW))


def test_a_pod_that_is_to_be_made_does_not_wait_for_it():
    seen = observed(stale(queued("Relaunching", launch=2, nextLaunchTime=JUST_NOW)))

    decision = decide(seen, NOW)

    assert (decision.create, decision.patch) == (True, None)
