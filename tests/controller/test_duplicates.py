"""Jobs of one job id: one at a time, whoever ends, dies, is deleted or begins anew.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

import pytest

from factotum.controller.claims.judging import Denied, Granted, Later
from factotum.kube import names, paths
from support.model.crowd import Crowd
from support.model.stage import NAMESPACE

BUSY = Later(message="another job of the same job id has not ended")
PULLING = {
    "phase": "Pending",
    "containerStatuses": [
        {"name": "factotum", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    ],
}


def queued(who):
    return "WaitingForJobId", f"job {who} has the same job id and has not ended"


def finish(stage, name):
    """Have a job's verdict written; its Pod has not ended."""
    path = paths.job(NAMESPACE, name)
    raw = stage.api.stored(path)
    ended = {"state": "DONE", "outcome": "SUCCEEDED", "reason": "Succeeded"}
    stage.sees(stage.api.put(path, raw | {"status": raw["status"] | ended}))


async def test_jobs_of_one_id_run_one_after_the_other_in_order():
    stage = Crowd()
    stage.make("a", "b", "c")

    await stage.looks("a", "b", "c")
    assert stage.pod_of("a")
    assert stage.says("b") == queued("a")
    assert stage.says("c") == queued("a")

    stage.have_pod("a")
    await stage.claim("a")
    finish(stage, "a")
    stage.end_pod("a")
    await stage.looks("a")
    assert stage.queued() >= {"b"}
    await stage.looks("b", "c")
    assert stage.pod_of("b")
    assert not stage.pod_of("c")
    assert len(stage.slots) == 1


async def test_waiting_for_a_job_id_takes_no_worker_from_others():
    stage = Crowd(workers=2)
    stage.make("a", "b", "c")
    await stage.looks("a", "b", "c")

    assert len(stage.slots) == 1
    assert stage.slots.waiting == 2


async def test_a_job_of_another_namespace_has_job_ids_of_its_own():
    stage = Crowd()
    stage.make("a")
    await stage.looks("a")
    raw = stage.api.stored(paths.job(NAMESPACE, "a"))
    raw["metadata"] |= {"namespace": "elsewhere", "uid": "twin"}
    stage.sees(stage.api.put(paths.job("elsewhere", "a"), raw | {"status": {}}))

    assert await stage.look("twin") == ["POST pods"]


async def test_a_job_id_is_held_until_the_pod_of_a_done_job_has_ended():
    stage = Crowd()
    await stage.at_work("a")
    stage.make("b")
    finish(stage, "a")

    await stage.looks("a", "b")
    assert stage.says("b")[1] == "the Pod of job a has the same job id and has not ended"
    stage.end_pod("a")
    await stage.looks("a", "b")
    assert stage.pod_of("b")


async def test_a_pod_that_does_not_start_keeps_its_job_id_and_not_its_worker():
    stage = Crowd(workers=1)
    stage.make("a", "b")
    await stage.looks("a")
    stage.have_pod("a", PULLING)
    await stage.looks("a")
    stage.clock.move(6)
    await stage.looks("a", "b")

    assert len(stage.slots) == 0
    assert stage.says("b") == queued("a")
    stage.have_pod("a")
    assert isinstance(await stage.claim("a"), Granted)


# --- the holder goes ----------------------------------------------------------------------


async def test_a_deleted_jobs_pod_keeps_the_job_id_as_long_as_it_has_not_ended():
    stage = Crowd()
    await stage.at_work("a")
    pod = stage.pod_of("a")["metadata"]["name"]
    stage.make("b")
    stage.remove("a")

    await stage.looks("a", "b")
    assert stage.says("b")[1] == f"Pod {pod} of a deleted job has the same job id and has not ended"
    stage.clock.move(61)
    await stage.looks("a", "b")
    assert len(stage.slots) == 0
    assert not stage.pod_of("b")

    stage.end_pod("a")
    await stage.looks("a")
    assert "b" in stage.queued()
    await stage.looks("b")
    assert stage.pod_of("b")
    assert stage.slots.held_ids == 1


async def test_an_orphan_frees_its_worker_at_once_and_its_job_id_when_it_has_ended():
    stage = Crowd(workers=1)
    await stage.at_work("a")
    stage.make("b")
    stage.have_pod("a", ownerReferences=[])
    stage.remove("a")

    await stage.looks("a", "b")
    assert len(stage.slots) == 0
    assert stage.says("b")[0] == "WaitingForJobId"
    stage.end_pod("a")
    await stage.looks("a", "b")
    assert stage.pod_of("b")


async def test_a_pod_that_only_looks_like_a_gone_jobs_keeps_nothing():
    stage = Crowd()
    stage.make("a")
    await stage.looks("a")
    copy = stage.pod_of("a")
    copy["metadata"] |= {"name": "a-debug", "uid": "copy", "ownerReferences": []}
    copy["metadata"]["labels"][names.LABEL_JOB_UID] = "gone"
    stage.cache.put_pod(copy)
    stage.remove("a")
    stage.cache.drop_pod(stage.pod_of("a")["metadata"]["uid"])
    stage.make("b")

    await stage.looks("gone", "a", "b")
    assert stage.pod_of("b")


async def test_a_pod_removed_by_force_keeps_the_job_id_while_its_runner_may_report():
    stage = Crowd()
    await stage.at_work("a")
    stage.make("b")
    pod = stage.pod_of("a")["metadata"]
    stage.api.remove(paths.pod(NAMESPACE, pod["name"]))
    stage.cache.drop_pod(pod["uid"])

    await stage.looks("a", "b")
    assert stage.says("a")[0] == "PodGone"
    assert stage.says("b") == queued("a")
    stage.clock.move(61)
    await stage.looks("a", "b")
    assert stage.says("a")[0] == "Lost"
    assert stage.pod_of("b")


async def test_a_job_in_back_off_lets_the_next_of_its_job_id_go():
    stage = Crowd()
    stage.make("a", "b")
    await stage.looks("a", "b")
    stage.have_pod("a", {"phase": "Failed"})

    # The second launch has no back-off and keeps everything, the third has 5 s.
    await stage.looks("a", "b")
    assert stage.says("b") == queued("a")
    path = paths.pod(NAMESPACE, names.pod_name("a", "a", 1, 2))
    second = stage.api.stored(path)
    stage.cache.put_pod(stage.api.put(path, second | {"status": {"phase": "Failed"}}))
    await stage.looks("a", "b")

    assert stage.says("a")[0] == "Relaunching"
    assert stage.pod_of("b")
    stage.clock.move(6)
    await stage.looks("a")
    assert not stage.pod_of("a", 3)


# --- the controller goes ------------------------------------------------------------------


async def test_a_new_controller_counts_holders_before_it_gives_anything_out():
    stage = Crowd()
    stage.make("b", "a")
    await stage.looks("b")

    after = await stage.anew()
    # The other one is looked at first, and is older than nobody.
    await after.looks("a")
    assert after.says("a") == queued("b")
    await after.looks("b")
    assert isinstance(await after.claim("b"), Granted)


async def test_a_new_controller_goes_by_the_pods_of_jobs_that_are_gone():
    stage = Crowd()
    await stage.at_work("a")
    stage.remove("a")
    stage.make("b")

    after = await stage.anew()
    await after.looks("b")
    assert "of a deleted job" in after.says("b")[1]


async def test_a_new_controller_goes_by_the_pod_when_the_status_tells_another_job_id():
    stage = Crowd()
    await stage.at_work("a")
    raw = stage.api.stored(paths.job(NAMESPACE, "a"))
    raw["status"]["jobId"] = "f" * 64
    stage.api.put(paths.job(NAMESPACE, "a"), raw)
    stage.make("b")

    after = await stage.anew()
    await after.looks("b")
    assert after.says("b") == queued("a")


async def test_a_new_controller_looks_first_at_who_came_first():
    stage = Crowd()
    stage.make("c", "b", "a")

    after = await stage.anew()
    assert [after.reconciler.queue._ready.get_nowait() for _ in "cba"] == ["c", "b", "a"]


async def two_pods():
    """Have two jobs of one id with a Pod each: a request of a dead controller came late."""
    stage = Crowd()
    stage.make("a")
    await stage.looks("a")
    late = stage.pod_of("a")
    stage.api.remove(paths.pod(NAMESPACE, late["metadata"]["name"]))
    stage.cache.drop_pod(late["metadata"]["uid"])
    stage.slots.release("a")
    stage.make("b")
    await stage.looks("b")
    stage.cache.put_pod(stage.api.put(paths.pod(NAMESPACE, late["metadata"]["name"]), late))
    await stage.looks("a", "b")
    return stage


@pytest.mark.parametrize(("first", "second"), ["ab", "ba"])
async def test_of_two_pods_of_one_job_id_only_the_first_to_claim_may_start(first, second):
    stage = await two_pods()

    assert isinstance(await stage.claim(first), Granted)
    assert await stage.claim(second) == BUSY
    await stage.looks(second)
    assert stage.says(second) == queued(first)
    finish(stage, first)
    stage.end_pod(first)
    await stage.looks(first)
    assert isinstance(await stage.claim(second), Granted)


async def test_a_claim_whose_answer_was_lost_keeps_the_other_from_starting():
    stage = await two_pods()

    def lose(request):
        if request.method == "PATCH":
            raise ConnectionError

    stage.api.on_request = lose
    with pytest.raises(ConnectionError):
        await stage.claim("a")
    stage.api.on_request = lambda _: None

    assert await stage.claim("b") == BUSY
    assert isinstance(await stage.claim("a"), Granted)


# --- policies -----------------------------------------------------------------------------


async def test_a_rejected_duplicate_names_the_holder_and_is_done():
    stage = Crowd()
    stage.make("a")
    stage.make("b", policy="Reject")
    await stage.looks("a", "b")

    assert stage.says("b") == (
        "Duplicate",
        "job a has the same job id and has not ended, and duplicatePolicy is Reject",
    )
    assert not stage.pod_of("b")
    assert stage.slots.waiting == 0


async def test_a_job_that_rejects_duplicates_runs_if_there_is_none():
    stage = Crowd()
    stage.make("a", policy="Reject")
    await stage.looks("a")

    assert stage.pod_of("a")


async def test_a_rejected_duplicates_pod_is_refused_its_claim_and_deleted():
    stage = await two_pods()
    raw = stage.api.stored(paths.job(NAMESPACE, "b"))
    raw["spec"]["duplicatePolicy"] = "Reject"
    stage.sees(stage.api.put(paths.job(NAMESPACE, "b"), raw))
    await stage.claim("a")

    assert await stage.claim("b") == BUSY
    await stage.looks("b")
    assert stage.says("b")[0] == "Duplicate"
    assert stage.pod_of("b") is None


async def test_jobs_that_may_run_beside_others_do_and_hold_up_those_that_may_not():
    stage = Crowd()
    stage.make("a")
    stage.make("b", policy="Allow")
    stage.make("c")
    await stage.looks("a", "b", "c")

    assert stage.pod_of("b")
    for name in "ab":
        stage.have_pod(name)
        assert isinstance(await stage.claim(name), Granted)
    finish(stage, "a")
    stage.end_pod("a")
    await stage.looks("a", "c")
    assert not stage.pod_of("c")
    finish(stage, "b")
    stage.end_pod("b")
    await stage.looks("b", "c")
    assert stage.pod_of("c")


async def test_a_deleted_job_that_waits_leaves_the_line():
    stage = Crowd()
    stage.make("a", "b", "c")
    await stage.looks("a", "b", "c")
    stage.remove("b")
    await stage.looks("b")

    assert stage.slots.waiting == 1
    answer = await stage.claim("a")
    assert not isinstance(answer, Denied)
