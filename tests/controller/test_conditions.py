"""A job's conditions: which there are at each step of its life, and what tools make of them.

All pure; `kubectl wait` itself is asked in tests/crd.
"""

import json

import pytest

from factotum.controller.decide import status
from factotum.controller.decide.conditions import derive_conditions
from factotum.kube.resource import format_time
from support.builders.jobs import (
    NOW,
    after,
    make_job,
    make_plan,
    make_pod,
    make_report,
    patched,
    raw_job,
    working_status,
)
from support.cluster.kstatus import kstatus

LONG = "a sentence that is long enough to be found again; " * 3


def derived(job, state, outcome, *, reason="Why", message=LONG, now=NOW):
    return derive_conditions(
        job, state=state, outcome=outcome, reason=reason, message=message, now=now
    )


STEPS = [
    pytest.param("QUEUED", "WAITING", ["Reconciling"], "InProgress", id="waiting"),
    pytest.param("WORKING", "RUNNING", ["Reconciling"], "InProgress", id="running"),
    pytest.param("DONE", "SUCCEEDED", ["Complete"], "Current", id="succeeded"),
    pytest.param("DONE", "FAILED", ["Failed", "Stalled"], "Failed", id="failed"),
]


@pytest.mark.parametrize(("state", "outcome", "kinds", "verdict"), STEPS)
def test_only_what_holds_is_listed_and_kstatus_reads_it_right(state, outcome, kinds, verdict):
    listed = derived(make_job(), state, outcome)

    assert [c["type"] for c in listed] == kinds
    assert {c["status"] for c in listed} == {"True"}
    assert kstatus(raw_job(status={"observedGeneration": 1, "conditions": listed})) == verdict


@pytest.mark.parametrize(("state", "outcome", "kinds", "_verdict"), STEPS)
def test_every_condition_has_a_reason_and_words_of_its_own(state, outcome, kinds, _verdict):
    listed = derived(make_job(), state, outcome)

    assert len({c["reason"] for c in listed}) == len(kinds)
    assert all(c["reason"].isalpha() for c in listed)
    assert len({c["message"] for c in listed}) == len(kinds)
    assert all(c["message"] for c in listed)


@pytest.mark.parametrize(("state", "outcome", "kinds", "_verdict"), STEPS)
def test_the_long_message_is_in_failed_alone(state, outcome, kinds, _verdict):
    listed = derived(make_job(), state, outcome)

    holders = [c["type"] for c in listed if LONG in c["message"]]
    assert holders == [kind for kind in kinds if kind == "Failed"]


def test_a_message_is_bounded():
    failed, _ = derived(make_job(), "DONE", "FAILED", message="m" * 5000)

    assert failed["message"] == "m" * 1024


def test_a_waiting_job_says_to_kstatus_what_it_waits_for():
    (reconciling,) = derived(make_job(), "QUEUED", "WAITING", reason="WaitingForWorker")

    assert reconciling["message"] == "the job waits: WaitingForWorker"


def test_a_conditions_time_is_that_of_its_last_change():
    job = make_job()
    queued = patched(job, status.waiting(job, "NodeNotReady", "cordoned", NOW))
    working = patched(queued, status.claimed(queued, make_plan(), make_pod(), "id", after(60)))

    (still,) = derived(working, "WORKING", "RUNNING", now=after(90))
    (ended,) = derived(working, "DONE", "SUCCEEDED", now=after(120))

    assert still["lastTransitionTime"] == format_time(NOW)
    assert ended["lastTransitionTime"] == format_time(after(120))


def test_a_condition_that_was_false_holds_since_now():
    earlier = {"type": "Failed", "status": "False", "lastTransitionTime": format_time(NOW)}
    job = make_job(status=working_status(conditions=[earlier]))

    failed, _ = derived(job, "DONE", "FAILED", now=after(5))

    assert failed["lastTransitionTime"] == format_time(after(5))


def test_what_no_longer_holds_goes_with_the_next_patch():
    job = make_job(status=working_status())
    again = patched(job, status.relaunch(job, message="m", not_before=NOW, now=NOW))
    done = patched(
        again, status.finished(again, succeeded=True, reason="Succeeded", message="m", now=NOW)
    )

    assert [c["type"] for c in again.status["conditions"]] == ["Reconciling"]
    assert [c["type"] for c in done.status["conditions"]] == ["Complete"]


def test_kstatus_follows_a_job_through_its_life():
    raw = raw_job(status={"observedGeneration": -1})
    job = make_job()
    seen = [kstatus(raw)]
    for patch_of in (
        lambda j: status.waiting(j, "WaitingForWorker", "all workers are busy", NOW),
        lambda j: status.claimed(j, make_plan(), make_pod(), "id", NOW),
        lambda j: status.progressed(j, make_report("SRW"), make_plan().task_names),
        lambda j: status.finished(j, succeeded=False, reason="TaskFailed", message="m", now=NOW),
    ):
        job = patched(job, patch_of(job))
        seen.append(kstatus(raw_job(status=job.status)))
    changed = raw_job(status=job.status, generation=2)

    assert seen == ["InProgress", "InProgress", "InProgress", "InProgress", "Failed"]
    assert kstatus(changed) == "InProgress"
    assert kstatus(changed | {"metadata": changed["metadata"] | {"deletionTimestamp": "x"}}) == (
        "Terminating"
    )


def test_the_whole_status_of_a_small_job_stays_small():
    job = make_job()
    claimed = patched(job, status.claimed(job, make_plan("only"), make_pod(), "c" * 32, NOW))
    report = make_report(
        "S", final=True, codes={0: 0}, seconds={0: 1.5}, started={0: 1772366400000}
    )
    done = patched(
        claimed,
        status.progressed(claimed, report, ["only"])
        | status.finished(claimed, succeeded=True, reason="Succeeded", message="1/1", now=NOW),
    )

    text = json.dumps(done.status, separators=(",", ":"))

    assert len(text) < 1100
    assert "taskCounts" not in done.status
