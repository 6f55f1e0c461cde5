"""One look at a job: what is known and what is stored, and the requests that follow.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

import asyncio

import pytest

from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.facts.pods import PodView
from factotum.kube import errors, names
from support.builders.jobs import (
    JOB_UID,
    POD_UID,
    done_status,
    make_message,
    make_report,
    raw_job,
    raw_pod,
    working_status,
)
from support.model.stage import JOB, NAMESPACE, SPEC, Stage, pod_path, settle

DELETED = {"deletionTimestamp": "2026-03-01T12:00:00Z"}


def ended(message="", exit_code=0):
    state = {"terminated": {"exitCode": exit_code, "reason": "Completed", "message": message}}
    return {
        "phase": "Failed" if exit_code else "Succeeded",
        "containerStatuses": [{"name": "factotum", "state": state}],
    }


def refusing(method, status, reason="", *, ending="", fields=()):
    def refuse(request):
        if request.method == method and request.path.endswith(ending):
            raise errors.from_status(status, reason, "the server says no", fields)

    return refuse


# --- launching --------------------------------------------------------------------------


async def test_a_new_job_gets_its_pod_and_nothing_else():
    stage = Stage()
    stage.job()

    assert await stage.look() == ["POST pods"]
    assert stage.holds()
    made = PodView.from_raw(stage.api.stored(pod_path()))
    assert made.belongs_to(stage.cache.jobs[JOB_UID])
    assert await stage.look() == []


async def test_a_job_without_a_worker_says_so_once():
    stage = Stage()
    stage.slots.hold("another")
    stage.job()

    assert await stage.look() == ["PATCH factotumjobs WaitingForWorker"]
    assert await stage.look() == []
    assert not stage.holds()


@pytest.mark.parametrize("status", [403, 422])
async def test_a_refused_pod_gives_the_slot_back_at_once(status):
    stage = Stage()
    stage.job()
    stage.api.on_request = refusing("POST", status, "Refused", ending="/pods")

    assert await stage.look() == ["POST pods"]
    assert not stage.holds()
    assert stage.queued() == {JOB_UID}


async def test_a_pod_that_is_forbidden_is_asked_for_again_after_a_while():
    stage = Stage()
    stage.job()
    stage.api.on_request = refusing("POST", 403, "Forbidden", ending="/pods")
    await stage.look()

    assert await stage.look() == [
        "PATCH factotumjobs PodForbidden",
        "POST events Warning PodForbidden",
    ]
    assert "the server says no" in stage.status()["message"]
    assert await stage.look() == []
    stage.clock.move(2)
    stage.api.on_request = lambda _: None
    assert await stage.look() == ["POST pods"]


async def test_a_pod_that_is_not_acceptable_fails_the_job():
    stage = Stage()
    stage.job()
    stage.api.on_request = refusing(
        "POST", 422, "Invalid", ending="/pods", fields=("spec.nodeName",)
    )
    await stage.look()

    assert await stage.look() == [
        "PATCH factotumjobs PodRejected",
        "POST events Warning PodRejected",
    ]
    assert stage.status()["outcome"] == "FAILED"


async def test_a_pod_of_ours_that_is_there_already_is_taken_on():
    stage = Stage()
    stage.job()
    stage.api.put(pod_path(), raw_pod())

    assert await stage.look() == ["POST pods", "GET pods"]
    assert stage.holds()
    assert await stage.look() == []


async def test_a_name_that_a_foreign_pod_took_is_left_for_the_next_launch():
    stage = Stage()
    stage.job()
    stage.api.put(pod_path(), raw_pod(uid="foreign", ownerReferences=[], labels={}))

    assert await stage.look() == ["POST pods", "GET pods"]
    assert not stage.holds()
    assert await stage.look() == [
        "PATCH factotumjobs Relaunching",
        "POST events Warning Relaunching",
    ]
    assert await stage.look() == ["POST pods"]
    assert stage.api.stored(pod_path())["metadata"]["uid"] == "foreign"
    assert stage.api.stored(pod_path(launch=2)) is not None


# --- what changed meanwhile ---------------------------------------------------------------


async def test_a_conflict_is_followed_by_a_live_read_and_another_decision():
    stage = Stage()
    stage.slots.hold("another")
    stage.job()
    stage.behind_its_back(**working_status())
    stage.api.put(pod_path(), raw_pod())

    # The first patch is of an old version; by the new one a runner is at work.
    assert (await stage.look())[:2] == [
        "PATCH factotumjobs WaitingForWorker",
        "GET factotumjobs",
    ]
    assert stage.status()["state"] == "WORKING"


async def test_a_job_that_is_gone_is_dropped_its_subscribers_told_and_its_slot_freed():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod(status=ended(make_message("SSS")))
    stage.slots.hold(JOB_UID)
    stage.api.remove(JOB)

    assert await stage.look() == ["PATCH factotumjobs Succeeded"]
    assert stage.cache.jobs == {}
    assert stage.listener.told[-1] == ("nightly", True)
    assert not stage.holds()
    assert len(stage.reconciler._ledger) == 0


async def test_another_job_of_its_name_is_left_alone():
    stage = Stage()
    stage.slots.hold("another")
    stage.job()
    stage.api.put(JOB, raw_job(uid="the next one", spec=SPEC))

    await stage.look()

    assert stage.status() == {}
    assert JOB_UID not in stage.cache.jobs


async def test_while_nobody_knows_whether_the_pod_was_made_what_is_held_stays_held():
    stage = Stage()
    stage.job()
    stage.api.on_request = refusing("POST", 503, ending="/pods")

    assert await stage.look() == ["POST pods"]
    assert stage.holds()
    assert await stage.look() == []
    stage.clock.move(0.6)
    stage.api.on_request = lambda _: None
    assert await stage.look() == ["POST pods"]


# --- the run and its end --------------------------------------------------------------------


@pytest.mark.parametrize(
    "taken_off",
    [{"labels": {}}, {"ownerReferences": []}, {"labels": {}, "ownerReferences": []}],
    ids=["its label is gone", "its owner is gone", "both are gone"],
)
async def test_the_verdict_is_read_by_the_claims_uid(taken_off):
    stage = Stage()
    status = working_status()
    status["claim"]["podName"] = pod_path().rpartition("/")[2]
    stage.job(status=status)
    stage.pod()
    stage.slots.hold(JOB_UID)
    stage.pod(status=ended(make_message("SSS")), **taken_off)

    asked = await stage.look()

    assert asked[-2:] == ["PATCH factotumjobs Succeeded", "POST events Normal Succeeded"]
    assert asked[:-2] in ([], ["GET pods"])
    assert not stage.holds()


async def test_a_claims_pod_that_no_watch_shows_is_read_live_now_and_then():
    stage = Stage()
    status = working_status()
    status["claim"]["podName"] = pod_path().rpartition("/")[2]
    stage.job(status=status)
    stage.pod(labels={})

    assert await stage.look() == ["GET pods"]
    assert [await stage.look() for _ in range(5)] == [[]] * 5
    stage.clock.move(5)
    assert await stage.look() == ["GET pods"]


@pytest.mark.parametrize("name", ["", "../../other/pods/x", "A b"])
async def test_a_claim_that_names_no_pod_is_one_whose_pod_is_gone(name):
    stage = Stage()
    status = working_status()
    status["claim"]["podName"] = name
    stage.job(status=status)

    assert await stage.look() == ["PATCH factotumjobs PodGone"]
    stage.clock.move(61)
    assert (await stage.look())[0] == "PATCH factotumjobs Lost"


async def test_a_job_kept_by_a_finalizer_ends_though_it_was_never_started():
    stage = Stage()
    stage.job(finalizers=["example.org/mine"], **DELETED)

    assert await stage.look() == ["PATCH factotumjobs Deleted", "POST events Warning Deleted"]
    assert not stage.holds()


async def test_a_running_job_kept_by_a_finalizer_loses_its_pod_and_then_ends():
    stage = Stage()
    stage.job(status=working_status(), **DELETED)
    stage.pod()

    assert await stage.look() == ["DELETE pods"]
    assert stage.holds()
    stage.cache.drop_pod(POD_UID)
    await stage.look()
    stage.clock.move(61)
    assert (await stage.look())[-2:] == ["PATCH factotumjobs Lost", "POST events Warning Lost"]
    assert not stage.holds()


async def test_an_orphaned_pod_frees_the_slot():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    await stage.look()
    assert stage.holds()

    stage.pod(ownerReferences=[])
    stage.cache.drop_job(JOB_UID)

    await stage.look()
    assert not stage.holds()


async def test_a_pod_that_ends_with_its_job_keeps_the_slot_for_a_minute_at_most():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    await stage.look()
    stage.cache.drop_job(JOB_UID)

    await stage.look()
    assert stage.holds()
    stage.clock.move(61)
    await stage.look()
    assert not stage.holds()


async def test_at_the_start_whoever_runs_is_counted_and_whoever_needs_it_looked_at():
    stage = Stage()
    stage.pod(uid="left", name="left", labels={names.LABEL_JOB_UID: "gone"})
    stage.cache.put_job(raw_job(uid="done", name="done", resourceVersion="5", status=done_status()))
    stage.cache.put_job(raw_job(uid="queued", name="queued", resourceVersion="6"))
    stage.cache.put_job(
        raw_job(uid="at-work", name="at-work", resourceVersion="7", status=working_status())
    )
    for uid in stage.queued():
        stage.reconciler.queue._dirty.discard(uid)

    stage.reconciler.start()

    assert stage.queued() == {"queued", "at-work"}
    assert stage.holds("at-work")
    assert not stage.holds("queued")


# --- what is said, and how often --------------------------------------------------------------


async def test_a_finished_job_with_a_changed_spec_is_observed_and_says_what_it_said():
    stage = Stage()
    said = done_status(outcome="FAILED", reason="TaskFailed", message="the task 'a' failed")
    stage.job(status=said, generation=2)

    assert await stage.look() == ["PATCH factotumjobs TaskFailed"]
    after = stage.status()
    assert after["observedGeneration"] == 2
    assert (after["outcome"], after["message"]) == ("FAILED", "the task 'a' failed")
    assert await stage.look() == []


async def test_what_a_waiting_pod_says_is_told_at_most_once_a_minute():
    stage = Stage()
    stage.job()
    await stage.look()
    asked = []
    for second in range(120):
        stage.clock.move(1)
        waits = {"reason": "ImagePullBackOff", "message": f"try {second}"}
        container = {"name": "factotum", "state": {"waiting": waits}}
        made = stage.api.stored(pod_path())
        stage.cache.put_pod(
            stage.api.put(
                pod_path(),
                made | {"status": {"phase": "Pending", "containerStatuses": [container]}},
            )
        )
        asked += await stage.look()

    assert 2 <= len([r for r in asked if r.startswith("PATCH")]) <= 3
    assert [r for r in asked if "events" in r] == ["POST events Warning ImagePullBackOff"]
    assert stage.status()["reason"] == "ImagePullBackOff"


async def test_progress_is_written_at_most_once_a_second_and_the_newest_counts():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    us = PodIdentity(namespace=NAMESPACE, pod_name="p", pod_uid=POD_UID)
    written = []
    for number, states in enumerate(["RWW", "SRW", "SSR", "SSR"], start=1):
        await stage.desk.report(JOB_UID, 1, make_report(states, sequence=number), us)
        written += await stage.look()
        stage.clock.move(0.4)

    assert written == ["PATCH factotumjobs 0/3", "PATCH factotumjobs 2/3"]


async def test_the_workers_outlive_a_job_that_cannot_be_brought_forward():
    stage = Stage()
    stage.slots.hold("another")
    stage.api.on_request = refusing("PATCH", 503)
    stage.job()
    stage.reconciler.queue.add(JOB_UID)
    work = asyncio.create_task(stage.reconciler.run())
    await settle()
    stage.api.on_request = lambda _: None
    await asyncio.sleep(1.0)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert stage.status()["reason"] == "WaitingForWorker"
