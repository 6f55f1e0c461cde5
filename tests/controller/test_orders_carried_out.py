"""Orders and attempts carried out: what is requested for them, and what runners are answered.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

import json

import pytest

from factotum.controller.claims.judging import Denied, Granted
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.mirror.source import Taken
from factotum.core.wire.orders import WorkOrder
from factotum.kube import errors
from factotum.kube.names import ANNOTATION_RESUME
from support.builders.jobs import (
    CLAIM_ID,
    JOB_UID,
    OTHER_CLAIM_ID,
    POD_UID,
    done_status,
    identity_of,
    make_claim,
    make_message,
    make_report,
    raw_job,
    raw_pod,
    working_status,
)
from support.model.stage import JOB, NAMESPACE, SPEC, Stage, pod_path, settle

US = PodIdentity(namespace=NAMESPACE, pod_name="p", pod_uid=POD_UID)
TASKS = [
    {"name": "a", "state": "SUCCEEDED", "returnCode": 0, "startedAt": "2026-03-01T11:00:00.250Z"},
    {"name": "b", "state": "FAILED", "returnCode": 3},
]
RESUME = {"annotations": {ANNOTATION_RESUME: "1"}}


def two_tasks(**fields):
    tasks = [{"name": name, "state": "WAITING"} for name in "ab"]
    status = working_status(progress="0/2", tasks=tasks, **fields)
    # Of what was accepted nothing is known, so what is there now counts.
    del status["factfileHash"]
    return status


def failed(**fields):
    whole = {"state": "DONE", "outcome": "FAILED", "reason": "TaskFailed", "tasks": TASKS}
    return two_tasks() | whole | fields


def desire(stage, word):
    stored = stage.api.stored(JOB)
    stored["spec"]["desiredState"] = word
    stored["metadata"]["generation"] += 1
    stage.sees(stage.api.put(JOB, stored))


async def claim(stage, *, attempt=1, claim_id=CLAIM_ID):
    """Claim a launched attempt; return the runner's identity and the answer."""
    identity = identity_of(stage.api.stored(pod_path(attempt=attempt)))
    request = make_claim(attempt=attempt, claim_id=claim_id)
    return identity, await stage.desk.claim(request, identity)


def end_pod(stage, message, exit_code=2):
    terminated = {"exitCode": exit_code, "reason": "Error", "message": message}
    container = {"name": "factotum", "state": {"terminated": terminated}}
    status = {"phase": "Failed", "containerStatuses": [container]}
    raw = raw_pod(status=status, resourceVersion="900")
    stage.cache.put_pod(raw)


async def test_a_suspension_mid_run_is_two_writes_and_the_worker_is_free():
    stage = Stage()
    stage.job(spec=SPEC | {"desiredState": "Suspend"}, status=two_tasks())
    stage.pod()
    stage.slots.hold(JOB_UID)

    assert await stage.look() == ["PATCH factotumjobs Suspending"]
    end_pod(stage, make_message("SF", interrupted=1))
    assert await stage.look() == ["PATCH factotumjobs Suspended", "POST events Normal Suspended"]
    assert not stage.holds()
    assert [await stage.look() for _ in range(3)] == [[]] * 3


async def test_a_suspended_job_leaves_the_queue_of_those_that_wait():
    stage = Stage(workers=0)
    stage.job()
    await stage.look()
    assert stage.slots.place(JOB_UID) is not None

    desire(stage, "Suspend")
    await stage.look()

    assert stage.slots.place(JOB_UID) is None


async def test_an_unclaimed_pod_is_fenced_off_before_it_is_deleted():
    stage = Stage()
    stage.job()
    await stage.look()
    pod = stage.api.stored(pod_path())
    desire(stage, "Suspend")

    done = await stage.look()

    assert done[:2] == ["PATCH factotumjobs Suspended", "DELETE pods"]
    assert stage.status()["launch"] == 2
    stage.api.put(pod_path(), pod)
    desire(stage, "Run")
    answer = await stage.desk.claim(make_claim(), identity_of(pod))
    assert isinstance(answer, Denied)
    assert answer.status == 410


async def test_the_answer_to_a_report_carries_the_order_once_it_is_written_down():
    stage = Stage()
    stage.job(spec=SPEC | {"desiredState": "Cancel"}, status=two_tasks())
    stage.pod()

    before = await stage.desk.report(JOB_UID, 1, make_report("RW"), US)
    await stage.look()
    after = await stage.desk.report(JOB_UID, 1, make_report("RW", sequence=2), US)

    assert (before.body, after.body) == ({"order": None}, {"order": "stop"})


async def test_the_last_report_of_a_stopped_run_is_answered_once_it_is_written():
    stage = Stage()
    stage.job(spec=SPEC | {"desiredState": "Suspend"}, status=two_tasks())
    stage.pod()
    await stage.look()
    last = make_report("SF", final=True, interrupted=1, sequence=7)

    answer = await stage.desk.report(JOB_UID, 1, last, US)

    assert answer == Granted(body={"order": None})
    assert (stage.status()["state"], stage.status()["sequence"]) == ("WORKING", 7)
    assert [t["state"] for t in stage.status()["tasks"]] == ["SUCCEEDED", "FAILED"]


async def test_the_last_report_of_a_run_that_is_tried_again_is_answered_once_that_is_written():
    stage = Stage()
    stage.job(spec=SPEC | {"retry": {"limit": 1}}, status=two_tasks())
    stage.pod()

    answer = await stage.desk.report(JOB_UID, 1, make_report("SF", final=True, sequence=7), US)

    assert answer == Granted(body={"order": None})
    assert (stage.status()["state"], stage.status()["attempt"]) == ("QUEUED", 2)
    again = await stage.desk.report(JOB_UID, 1, make_report("SF", final=True, sequence=7), US)
    assert isinstance(again, Denied)


async def test_a_claim_whose_answer_was_lost_is_granted_again_under_an_order():
    stage = Stage()
    stage.job()
    await stage.look()
    _, first = await claim(stage)
    desire(stage, "Suspend")

    assert (await claim(stage))[1] == first


async def test_an_attempt_waits_for_the_pod_of_the_one_before_and_gets_its_results():
    stage = Stage()
    stage.job(spec=SPEC | {"retry": {"limit": 1, "backoffSeconds": 0}})
    await stage.look()
    us, _ = await claim(stage)
    report = make_report("SF", final=True, codes={0: 0, 1: 3}, started={0: 1_772_362_800_250})
    await stage.desk.report(JOB_UID, 1, report, us)
    await settle()
    stage.clock.move(1)
    assert await stage.look() == []
    assert stage.holds()
    pod = stage.api.stored(pod_path())
    stage.cache.put_pod(stage.api.put(pod_path(), pod | {"status": {"phase": "Failed"}}))

    assert await stage.look() == ["POST pods"]
    _, answer = await claim(stage, attempt=2, claim_id=OTHER_CLAIM_ID)
    order = WorkOrder(json.loads(json.dumps(answer.body)))
    assert order.kept["states"] == "SW"
    assert order.kept["started"] == {"0": 1_772_362_800_250}
    assert [t["state"] for t in stage.status()["tasks"]] == ["SUCCEEDED", "WAITING"]
    assert stage.status()["progress"] == "1/2"


async def test_a_first_attempt_is_given_no_results():
    stage = Stage()
    stage.job()
    await stage.look()

    _, answer = await claim(stage)

    assert "kept" not in answer.body
    assert not {"resumeSeen", "order", "attempts", "retries"} & set(stage.status())


async def test_a_resume_reads_the_whole_status_once_and_begins():
    stage = Stage()
    stage.job(status=failed(), **RESUME)

    assert await stage.look() == [
        "GET factotumjobs",
        "PATCH factotumjobs Resumed",
        "POST events Normal Resumed",
    ]
    status = stage.status()
    assert (status["attempt"], status["resumeSeen"]) == (2, "1")
    assert [t["state"] for t in status["tasks"]] == ["SUCCEEDED", "WAITING"]
    assert status["tasks"][0] == TASKS[0]
    assert await stage.look() == ["POST pods"]


async def test_a_resume_of_a_job_that_changed_meanwhile_looks_again():
    stage = Stage()
    stage.job(status=failed(), **RESUME)
    stored = stage.api.stored(JOB)
    stored["metadata"]["annotations"][ANNOTATION_RESUME] = "2"
    stage.api.put(JOB, stored)

    await stage.look()

    assert (stage.status()["attempt"], stage.status()["resumeSeen"]) == (2, "2")


async def test_a_resume_of_a_job_that_is_gone_does_nothing():
    stage = Stage()
    stage.job(status=failed(), **RESUME)
    stage.api.remove(JOB)

    assert await stage.look() == ["GET factotumjobs"]
    assert JOB_UID not in stage.cache.jobs


async def test_a_resume_that_cannot_be_read_is_tried_again():
    stage = Stage()
    stage.job(status=failed(), **RESUME)

    def fail(request):
        raise errors.from_status(503, "", "not now")

    stage.api.on_request = fail
    with pytest.raises(errors.KubeError):
        await stage.look()
    stage.api.on_request = lambda _: None

    assert "PATCH factotumjobs Resumed" in await stage.look()


def test_a_starting_controller_looks_at_finished_jobs_that_are_asked_for():
    stage = Stage()
    stage.job(status=failed(), **RESUME)
    stage.job(status=done_status(), uid="other", name="other", resourceVersion="11", **RESUME)
    stage.reconciler.queue._dirty.clear()

    stage.reconciler.start()

    assert stage.queued() == {JOB_UID}


def test_of_a_jobs_annotations_only_ours_is_remembered():
    stage = Stage()
    raw = raw_job(
        status=done_status(), annotations={ANNOTATION_RESUME: "x" * 5000, "other": "y" * 9000}
    )
    job = stage.cache.put_job(raw)

    assert job.resume == "x" * 1024


async def test_the_entry_in_consul_is_taken_anew_for_each_attempt():
    taken = []

    class Recording:
        async def take(self, job, _):
            taken.append(job.attempt)
            return Taken()

    stage = Stage(mirror=Recording())
    stage.job(spec=SPEC | {"retry": {"limit": 1, "backoffSeconds": 0}})
    await stage.look()
    identity, _ = await claim(stage)
    await stage.desk.report(JOB_UID, 1, make_report("SF", final=True), identity)
    stage.api.remove(pod_path())
    stage.cache.drop_pod(identity.pod_uid)
    stage.clock.move(1)
    await stage.look()

    assert taken == [1, 2]
