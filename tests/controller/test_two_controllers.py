"""Two controllers on one API server: who is past its term changes nothing any more.

Real: both whole controllers but for their servers, their fences, an API in memory. Time is held: to
be frozen is to have it pass while a request of one's own is under way.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from factotum.controller.claims.judging import Denied, Granted
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.clock import HeldClock
from factotum.controller.leader.term import Term
from factotum.controller.settings import Settings
from factotum.kube.fenced import FencedError
from factotum.kube.memory import MemoryApi
from support.builders.jobs import (
    JOB_UID,
    NOW,
    POD_UID,
    done_status,
    identity_of,
    make_claim,
    make_message,
    make_report,
    raw_job,
    working_status,
)
from support.model.stage import JOB, NAMESPACE, Stage, pod_path

OTHER_CLAIM_ID = "b" * 32
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
IDENTITY = PodIdentity(namespace=NAMESPACE, pod_name="runner", pod_uid=POD_UID)


class Controller(Stage):
    """One of two; it leads for eight seconds from now."""

    def __init__(self, api, clock):
        self.lost = []
        self.term = Term(clock.boottime, self.lost.append)
        self.term.extend(clock.boottime() + 8)
        super().__init__(api=api, fence=self.term.check)


class Two:
    def __init__(self):
        self.api = MemoryApi()
        self.time = HeldClock(NOW)
        self.old = Controller(self.api, self.time)
        self.new = None

    def job(self, **fields):
        return self.old.job(**fields)

    async def take_over(self):
        """Let the old one's time pass, and have another take its place as an operator starts."""
        self.time.move(10)
        self.new = Controller(self.api, self.time)
        await self.new.parts.sources.read_everything()
        self.new.reconciler.start()

    def changes(self):
        return [(r.method, r.path) for r in self.api.requests if r.method in CHANGES]


@pytest.fixture
def two():
    return Two()


def ended():
    state = {"terminated": {"exitCode": 0, "message": make_message()}}
    return {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "factotum", "state": state}],
    }


async def launched(two):
    """Have a job with the Pod that was made for it."""
    two.job()
    await two.old.look()
    return identity_of(two.api.stored(pod_path()))


def a_new_job(two):
    two.job()


def a_run_that_ended(two):
    two.job(status=working_status())
    two.old.pod(status=ended())


@pytest.mark.parametrize("given", [a_new_job, a_run_that_ended], ids=lambda given: given.__name__)
async def test_who_is_past_its_term_changes_nothing_in_a_look(two, given):
    given(two)
    before = two.api.stored(JOB)
    two.time.move(8)

    with suppress(FencedError):  # a Pod's creation is a request of its own
        await two.old.look()
    assert two.changes() == []
    assert two.api.stored(JOB) == before
    assert two.old.lost == ["the Lease was not renewed in time"]


@pytest.mark.parametrize("given", [a_new_job, a_run_that_ended], ids=lambda given: given.__name__)
async def test_who_is_within_its_term_does_the_same_at_once(two, given):
    given(two)
    two.time.move(7.9)

    await two.old.look()
    assert len(two.changes()) >= 1
    assert two.old.lost == []


async def test_a_claim_after_the_term_is_not_granted(two):
    identity = await launched(two)
    two.time.move(8)

    with pytest.raises(FencedError):
        await two.old.desk.claim(make_claim(), identity)
    assert "claim" not in (two.api.stored(JOB).get("status") or {})


async def test_a_claim_under_way_when_its_controller_froze_does_not_overwrite_the_next_ones(two):
    identity = await launched(two)
    # Made by the one before it, for all it knows: so it reads the Pod.
    two.old.cache.drop_pod(identity.pod_uid)
    two.old.cache.put_pod(two.api.stored(pod_path()))
    frozen, thawed = asyncio.Event(), asyncio.Event()
    real_get = two.api.get

    async def get(path):
        answer = await real_get(path)
        if not frozen.is_set():
            frozen.set()
            await thawed.wait()
        return answer

    two.api.get = get
    old = asyncio.create_task(two.old.desk.claim(make_claim(), identity))
    await frozen.wait()
    await two.take_over()
    granted = await two.new.desk.claim(make_claim(claim_id=OTHER_CLAIM_ID), identity)
    after = two.api.stored(JOB)
    thawed.set()

    assert isinstance(granted, Granted)
    with pytest.raises(FencedError):
        await old
    assert two.api.stored(JOB) == after
    assert after["status"]["claim"]["id"] == OTHER_CLAIM_ID


async def test_a_verdict_under_way_past_the_fence_does_not_overwrite_the_next_ones(two):
    """The moment that no fence covers: stopped between the last look and the first byte."""
    two.job(status=working_status())
    two.old.pod(status=ended())
    frozen, thawed = asyncio.Event(), asyncio.Event()
    real_patch = two.api.patch_status

    async def patch_status(path, status, **more):
        if not frozen.is_set():
            frozen.set()
            await thawed.wait()
        return await real_patch(path, status, **more)

    two.api.patch_status = patch_status
    old = asyncio.create_task(two.old.look())
    await frozen.wait()
    await two.take_over()
    await two.new.look()
    after = two.api.stored(JOB)
    thawed.set()
    await old

    assert after["status"]["outcome"] == "SUCCEEDED"
    assert two.api.stored(JOB) == after


async def test_the_next_controller_counts_whom_the_last_one_let_run(two):
    two.job(status=working_status())
    two.old.pod()
    await two.take_over()

    assert two.new.holds()
    denied = await two.new.desk.claim(make_claim(claim_id="c" * 32), IDENTITY)
    assert isinstance(denied, Denied)


async def test_a_report_to_the_last_controller_is_heard_by_the_next(two):
    two.job(status=working_status())
    two.old.pod()
    await two.old.desk.report(JOB_UID, 1, make_report("SRW", final=False), IDENTITY)
    await two.take_over()

    await two.new.desk.report(JOB_UID, 1, make_report(final=True, sequence=99), IDENTITY)
    assert two.api.stored(JOB)["status"]["state"] == "DONE"


# --- standing by ------------------------------------------------------------------------


@pytest.fixture
async def standing_by():
    """A controller that stands by, and the API server to which others write."""
    async with stands_by(Stage(fence=shut)) as stage:
        yield stage


@asynccontextmanager
async def stands_by(stage):
    stage.cache._subscribers.remove(stage.reconciler)
    task = asyncio.create_task(stage.reconciler.stand_by())
    yield stage
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def shut():
    raise FencedError("this replica does not lead")


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of something that tells nobody
            await asyncio.sleep(0.05)


async def test_a_job_deleted_meanwhile_leaves_the_cache_of_who_stands_by(standing_by):
    stage = standing_by
    stage.job()
    last = stage.behind_its_back()
    stage.api.remove(JOB)
    stage.parts.sources.new_job("DELETED", last)

    await until(lambda: JOB_UID not in stage.cache.jobs)
    assert len(stage.reconciler.queue) == 0


async def test_a_job_that_seems_to_be_gone_and_is_not_stays(standing_by):
    stage = standing_by
    stage.job()
    stage.parts.sources.new_job("DELETED", stage.behind_its_back())

    await until(lambda: stage.api.requests and not len(stage.reconciler.queue))
    assert JOB_UID in stage.cache.jobs


async def test_jobs_that_get_a_state_meanwhile_cost_who_stands_by_no_request(standing_by):
    stage = standing_by
    stage.job()
    working = stage.api.put(JOB, raw_job(status=working_status()))
    stage.parts.sources.new_job("DELETED", working)  # it left that watch
    stage.sees(working)  # and came by the other

    await until(lambda: not len(stage.reconciler.queue))
    await asyncio.sleep(0)
    assert stage.api.requests == []


async def test_what_stands_by_looks_at_nothing_by_itself(standing_by):
    stage = standing_by
    stage.job()

    await asyncio.sleep(0.1)
    assert stage.queued() == set()
    assert stage.api.requests == []


async def test_what_became_surplus_while_another_led_goes_once_one_leads_oneself():
    async with stands_by(Stage(settings=Settings(successful_jobs_history_limit=0))) as stage:
        stage.job(status=done_status())
        await until(lambda: not len(stage.reconciler.queue))

    stage.reconciler.start()

    assert stage.queued() == {JOB_UID}
    assert await stage.look() == ["DELETE factotumjobs"]
