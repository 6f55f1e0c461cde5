"""A Pod that does not get to start gives its worker to others, and its claim asks for one again.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

from factotum.controller.claims.judging import Granted, Later
from factotum.core.wire import termination
from factotum.kube import paths
from support.builders.jobs import CLAIM_ID, identity_of, make_claim, raw_job
from support.model.crowd import Crowd
from support.model.stage import NAMESPACE, SPEC, Stage, pod_path

PULLING = {
    "phase": "Pending",
    "containerStatuses": [
        {
            "name": "factotum",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        }
    ],
}


def ended(message="", exit_code=0):
    state = {"terminated": {"exitCode": exit_code, "reason": "Completed", "message": message}}
    return {
        "phase": "Failed" if exit_code else "Succeeded",
        "containerStatuses": [{"name": "factotum", "state": state}],
    }


async def stuck_pod(stage):
    """Have a Pod that pulls for ever, its slot given to another job."""
    stage.job()
    await stage.look()
    made = stage.api.stored(pod_path())
    stage.cache.put_pod(stage.api.put(pod_path(), made | {"status": PULLING}))
    await stage.look()
    stage.clock.move(6)
    await stage.look()
    assert not stage.holds()
    stage.slots.hold("another")
    made = stage.api.stored(pod_path())
    raw = stage.api.put(pod_path(), made | {"status": {"phase": "Running"}})
    stage.cache.put_pod(raw)
    identity = identity_of(raw)
    request = make_claim()
    return lambda: stage.desk.claim(request, identity)


async def test_a_pod_that_got_stuck_waits_with_its_claim_for_a_worker():
    stage = Stage()
    claim = await stuck_pod(stage)

    assert await claim() == Later(message="all workers are busy")
    assert stage.status()["state"] == "QUEUED"
    stage.slots.release("another")
    assert isinstance(await claim(), Granted)
    assert stage.holds()


async def test_the_slot_that_comes_again_is_kept_until_the_claim_is_repeated():
    stage = Stage()
    claim = await stuck_pod(stage)
    await claim()
    stage.cache.put_job(
        stage.api.put(
            paths.job(NAMESPACE, "later"),
            raw_job(uid="later", name="later", spec=SPEC, creationTimestamp="2026-03-01T11:30:00Z"),
        )
    )
    await stage.look("later")
    stage.reconciler._holding.wake(stage.slots.release("another"))

    await stage.look()
    await stage.look("later")

    assert isinstance(await claim(), Granted)
    assert len(stage.slots) == 1


async def test_a_slot_is_kept_for_the_next_launch_and_not_for_a_claim_whose_pod_has_ended():
    stage = Stage()
    claim = await stuck_pod(stage)
    await claim()
    made = stage.api.stored(pod_path())
    unstarted = termination.unstarted(CLAIM_ID).decode()
    stage.cache.put_pod(stage.api.put(pod_path(), made | {"status": ended(unstarted, 1)}))
    stage.slots.release("another")
    await stage.look()

    assert stage.status()["reason"] == "Relaunching"
    await stage.look()
    assert stage.api.stored(pod_path(launch=2)) is not None
    assert len(stage.slots) == 1


async def test_after_a_restart_it_still_has_no_worker_that_another_job_uses():
    stage = Crowd(workers=1)
    stage.make("a", policy="Allow")
    await stage.looks("a")
    stage.have_pod("a", PULLING)
    await stage.looks("a")
    stage.clock.move(6)
    await stage.looks("a")
    await stage.at_work("b", policy="Allow")

    after = await stage.anew(workers=1)
    await after.looks("a", "b")
    assert (after.holds("a"), after.holds("b")) == (False, True)
    after.have_pod("a")
    await after.looks("a")
    assert await after.claim("a") == Later(message="all workers are busy")
    after.end_pod("b")
    await after.looks("b")
    assert isinstance(await after.claim("a"), Granted)
    assert len(after.slots) == 1


async def test_after_a_restart_with_fewer_workers_the_first_pods_keep_theirs():
    stage = Crowd(workers=2)
    stage.make("a", "b", policy="Allow")
    await stage.looks("a", "b")

    after = await stage.anew(workers=1)
    await after.looks("b", "a")
    assert (after.holds("a"), after.holds("b")) == (True, False)
    assert isinstance(await after.claim("b"), Later)
    assert isinstance(await after.claim("a"), Granted)
