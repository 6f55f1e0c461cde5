"""Whether the operator is of any use, told in words. Real: tasks of an event loop."""

import asyncio

from factotum.controller.health import STARTING, Health
from factotum.kube import paths
from factotum.kube.memory import MemoryApi
from factotum.kube.reflector import Reflector
from support.builders.jobs import JOB_UID
from support.model.stage import Stage


async def test_a_part_that_ended_is_told_by_its_name():
    health = Health()
    task = asyncio.create_task(asyncio.sleep(0), name="sweep")
    health.watch_task(task)
    assert health.failure() is None

    await task
    assert health.failure() == "the sweep has ended"


def test_a_part_that_stands_still_is_told_and_well_again_once_it_moves():
    still, health = [0.0], Health()
    health.watch_moves("watch of Pods", lambda: still[0], 900)
    assert health.failure() is None

    still[0] = 901
    assert health.failure() == "the watch of Pods has not moved for 901 s"
    still[0] = 1
    assert health.failure() is None


def test_everything_that_is_wrong_is_told():
    health = Health()
    health.watch(lambda: "one is broken")
    health.watch(lambda: None)
    health.watch(lambda: "another, too")

    assert health.failure() == "one is broken; another, too"


def test_what_is_missing_makes_it_not_ready_but_not_ill():
    health = Health()
    assert (health.failure(), health.missing()) == (None, STARTING)
    health.watch(lambda: "the sweep has ended")
    assert health.missing() == f"{STARTING}; the sweep has ended"
    health.started()
    assert health.missing() == health.failure() == "the sweep has ended"


async def test_a_look_that_hangs_is_seen():
    stage = Stage()
    stage.job()
    hangs = asyncio.Event()
    stage.api.get = lambda _: hangs.wait()
    stage.api.create = lambda *_: hangs.wait()
    workers = asyncio.create_task(stage.reconciler.run())
    stage.reconciler.queue.add(JOB_UID)
    async with asyncio.timeout(5):
        while not stage.reconciler._workers._since:  # noqa: ASYNC110 - it says when, nobody else
            await asyncio.sleep(0)

    assert stage.reconciler.longest_look() == 0
    stage.clock.move(700)
    assert stage.reconciler.longest_look() == 700
    workers.cancel()
    await asyncio.gather(workers, return_exceptions=True)
    assert stage.reconciler.longest_look() == 0


async def test_a_watch_moves_each_time_it_begins_anew():
    api = MemoryApi()
    stage = Stage(api=api)
    pods: Reflector = stage.parts.sources.pods
    assert pods.still_seconds() == 0
    await pods.list()
    watching = asyncio.create_task(pods.run())
    while not [r for r in api.requests if r.method == "WATCH"]:  # noqa: ASYNC110
        await asyncio.sleep(0)
    first = dict(pods._moved)
    await asyncio.sleep(0.05)

    assert list(first) == [paths.collection(paths.PODS)]
    assert 0.04 < pods.still_seconds() < 5
    watching.cancel()
