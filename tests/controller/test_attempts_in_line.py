"""Orders and attempts among jobs of one job id: who holds it meanwhile, and who gets it next.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

import asyncio

import pytest

from factotum.controller.claims.judging import Granted
from factotum.kube import names, paths
from factotum.kube.memory import MemoryApi
from factotum.kube.resource import JobUid
from support.builders.jobs import make_message
from support.model.crowd import Crowd
from support.model.stage import NAMESPACE, SPEC, settle

RETRY = SPEC | {"retry": {"limit": 2, "backoffSeconds": 10}}


def change(stage, name, **spec):
    path = paths.job(NAMESPACE, name)
    raw = stage.api.stored(path)
    raw["spec"] |= spec
    raw["metadata"]["generation"] += 1
    stage.sees(stage.api.put(path, raw))


def status_of(stage, name):
    return stage.api.stored(paths.job(NAMESPACE, name))["status"]


def pod_of_attempt(stage, name, attempt):
    return stage.api.stored(paths.pod(NAMESPACE, names.pod_name(name, name, attempt, 1)))


def fail(stage, name):
    """Have a job's Pod end with a verdict: its first task failed."""
    message = make_message("FK", claim_id=f"{name:x<32}")
    terminated = {"exitCode": 2, "reason": "Error", "message": message}
    container = {"name": "factotum", "state": {"terminated": terminated}}
    stage.have_pod(name, {"phase": "Failed", "containerStatuses": [container]})


async def failed_with_retry(stage):
    await stage.at_work("a")
    change(stage, "a", **RETRY)
    stage.make("b")
    await stage.looks("b")
    assert stage.says("b")[0] == "WaitingForJobId"
    fail(stage, "a")
    await stage.looks("a")
    assert stage.says("a")[0] == "Retrying"


async def test_a_job_in_back_off_holds_neither_worker_nor_job_id():
    stage = Crowd(workers=1)
    await failed_with_retry(stage)

    assert not stage.slots.has_worker(JobUid("a"))
    assert not stage.slots.has_id(JobUid("a"))
    await stage.looks("b")
    assert stage.pod_of("b")


async def test_after_its_back_off_it_waits_for_whoever_has_the_job_id_by_then():
    stage = Crowd()
    await failed_with_retry(stage)
    await stage.looks("b")
    stage.clock.move(10)
    await stage.looks("a")

    assert stage.says("a") == (
        "WaitingForJobId",
        "job b has the same job id and has not ended",
    )
    stage.remove("b")
    stage.cache.drop_pod(stage.pod_of("b")["metadata"]["uid"])
    await stage.looks("b", "a")
    assert pod_of_attempt(stage, "a", 2)
    assert status_of(stage, "a").get("launchesGivenUp") is None


async def retrying_while_its_pod_runs(stage, **spec):
    """Have a runner that told of its failure, and is at its last events."""
    await stage.at_work("a")
    change(stage, "a", **RETRY, **spec)
    path = paths.job(NAMESPACE, "a")
    raw = stage.api.stored(path)
    begun = {"state": "QUEUED", "outcome": "WAITING", "reason": "Retrying", "attempt": 2}
    begun |= {"claim": None, "launch": 1, "nextLaunchTime": "2026-03-01T12:00:00Z"}
    begun["attempts"] = [{"attempt": 1, "podName": stage.pod_of("a")["metadata"]["name"]}]
    stage.sees(stage.api.put(path, raw | {"status": raw["status"] | begun}))


async def test_the_pod_of_an_attempt_that_failed_keeps_worker_and_job_id_to_its_end():
    stage = Crowd(workers=1)
    await retrying_while_its_pod_runs(stage)
    stage.make("b")
    for _ in range(4):
        await stage.looks("a", "b")
        stage.clock.move(11)

    assert len(stage.slots) == 1
    assert not stage.pod_of("b")
    stage.end_pod("a")
    await stage.looks("a", "b")
    assert pod_of_attempt(stage, "a", 2), "it is the older one"
    assert not stage.pod_of("b")


async def test_the_deadline_of_an_attempt_does_not_begin_with_the_end_of_the_one_before():
    stage = Crowd()
    await retrying_while_its_pod_runs(stage, activeDeadlineSeconds=60)
    await stage.looks("a")
    stage.clock.move(44)
    stage.end_pod("a")
    await stage.looks("a")
    path = paths.pod(NAMESPACE, names.pod_name("a", "a", 2, 1))
    pod = stage.api.stored(path)
    stage.cache.put_pod(stage.api.put(path, pod | {"status": {"phase": "Pending"}}))
    await stage.looks("a")
    stage.clock.move(30)
    await stage.looks("a")

    assert stage.says("a")[0] == "PodPending"
    stage.clock.move(30)
    await stage.looks("a")
    assert stage.says("a")[0] == "Retrying"
    assert "DeadlineExceeded" in stage.says("a")[1]


async def test_a_suspended_job_gives_its_job_id_to_the_next_once_its_pod_is_gone():
    stage = Crowd(workers=1)
    stage.make("a", "b")
    await stage.looks("a", "b")
    change(stage, "a", desiredState="Suspend")
    pod = stage.pod_of("a")
    await stage.looks("a")
    stage.cache.drop_pod(pod["metadata"]["uid"])
    await stage.looks("a", "b")

    assert stage.says("a")[0] == "Suspended"
    assert stage.pod_of("b")
    change(stage, "a", desiredState="Run")
    await stage.looks("a")
    assert stage.says("a")[0] == "WaitingForJobId"


async def test_a_suspended_job_is_not_before_the_others_of_its_job_id():
    stage = Crowd()
    stage.make("a")
    change(stage, "a", desiredState="Suspend")
    stage.make("b", policy="Reject")
    await stage.looks("a", "b")

    assert stage.says("a")[0] == "Suspended"
    assert stage.pod_of("b")
    stage.have_pod("b")
    assert isinstance(await stage.claim("b"), Granted)


# --- a Pod that is being made -------------------------------------------------------------


class Hanging(MemoryApi):
    """Answers requests for one job's Pods when it is let go."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.go = asyncio.Event()

    async def create(self, path, body):
        if path.endswith("/pods") and body["metadata"]["name"].startswith(f"{self.name}-"):
            await self.go.wait()
        return await super().create(path, body)


async def test_a_pod_that_is_being_made_has_the_job_id_also_without_a_worker():
    stage = Crowd(api=Hanging("a"), workers=1)
    stage.make("a")
    await stage.look("a")
    stage.clock.move(5)
    await stage.looks("a")
    stage.make("b", labels={})
    await stage.looks("b")

    assert len(stage.slots) == 0
    assert stage.slots.has_id(JobUid("a"))
    assert not stage.pod_of("b")
    stage.api.go.set()
    await settle()
    await stage.looks("a")
    stage.have_pod("a")
    assert isinstance(await stage.claim("a"), Granted)


@pytest.mark.parametrize("desired", ["Suspend", "Cancel"])
async def test_an_order_while_a_pod_is_being_made_lets_go_of_everything_in_the_end(desired):
    stage = Crowd(api=Hanging("a"), workers=1)
    stage.make("a")
    await stage.look("a")
    change(stage, "a", desiredState=desired)
    await stage.looks("a")
    assert stage.slots.has_worker(JobUid("a")), "its Pod may be there any moment"
    stage.api.go.set()
    await settle()
    await stage.looks("a")
    late = stage.api.requests[-1]

    assert late.method == "DELETE"
    for made in list(stage.cache.pods()):
        stage.cache.drop_pod(made.uid)
    await stage.looks("a")
    assert (len(stage.slots), stage.slots.held_ids, stage.slots.waiting) == (0, 0, 0)
