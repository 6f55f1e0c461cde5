"""Workers that hang in a look are relieved, and there are no more than before when they are back.

Real: the workers and their queue, on the event loop's own time. The looks are made up, and the
clock by which their length is judged is held.
"""

import asyncio
import contextlib

import pytest

from factotum.controller.clock import HeldClock
from factotum.controller.reconcile import workers
from factotum.controller.work_queue import WorkQueue
from support.builders.jobs import NOW

PLACES = ("a", "b", "c", "d", "e", "f", "g")


class Floor:
    """A queue, workers, and looks that hang if their job's name says so."""

    def __init__(self):
        self.queue = WorkQueue()
        self.clock = HeldClock(NOW)
        self.go = asyncio.Event()
        self.begun = []
        self.ended = []
        self.workers = workers.Workers(
            self.queue, self._look, lambda uid: uid.partition("/")[0], self.clock
        )

    async def _look(self, uid):
        self.begun.append(uid)
        if "hangs" in uid:
            await self.go.wait()
        self.ended.append(uid)

    def add(self, *uids):
        for uid in uids:
            self.queue.add(uid)

    async def until(self, condition, seconds=4.0):
        for _ in range(int(seconds / 0.02)):
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it does not come")


@pytest.fixture
async def floor():
    made = Floor()
    task = asyncio.create_task(made.workers.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_whoever_hangs_is_relieved_and_leaves_when_it_is_back(floor):
    floor.add(*(f"{place}/hangs-{n}" for place in PLACES[:4] for n in range(4)))
    await floor.until(lambda: len(floor.begun) == 16)
    floor.add("z/quick")
    await asyncio.sleep(0.1)
    assert floor.ended == []
    floor.clock.move(3)

    await floor.until(lambda: floor.ended == ["z/quick"])
    floor.go.set()
    await floor.until(lambda: len(floor.ended) == 17)
    await floor.until(lambda: not floor.workers._hanging)
    floor.add(*(f"z/quick-{n}" for n in range(100)))
    await floor.until(lambda: len(floor.ended) == 117)
    assert floor.workers._count == 16


async def test_of_one_namespace_only_so_many_are_begun_while_they_hang(floor):
    floor.add(*(f"a/hangs-{n}" for n in range(60)))
    await floor.until(lambda: len(floor.begun) == 16)
    floor.clock.move(3)
    floor.add("z/quick")

    await floor.until(lambda: "z/quick" in floor.ended)
    assert len([uid for uid in floor.begun if uid.startswith("a/")]) == 16
    floor.go.set()
    await floor.until(lambda: len(floor.ended) == 61)


async def test_workers_are_bounded_however_many_namespaces_hang(floor):
    floor.add(*(f"{place}/hangs-{n}" for place in PLACES for n in range(9)))
    for _ in range(4):
        await asyncio.sleep(1.1)
        floor.clock.move(3)

    assert 16 < len(floor.begun) <= 48
