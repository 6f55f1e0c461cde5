"""Requests that travel together. The road is an event that the test opens."""

import asyncio

import pytest

from factotum.persistence.batches import Batches
from factotum.persistence.errors import StoreConflictError, StoreUnreachableError


class Road:
    """Carries batches once it is open, and remembers them."""

    def __init__(self):
        self.open = asyncio.Event()
        self.carried = []

    async def send(self, items):
        self.carried.append(list(items))
        await self.open.wait()
        if "trouble" in items:
            raise StoreUnreachableError("trouble")
        if "bug" in items:
            raise KeyError("bug")
        return [StoreConflictError(item) if item == "bad" else item.upper() for item in items]


async def asked(batches, *items):
    tasks = [asyncio.ensure_future(batches.ask(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_a_lone_request_goes_at_once_and_later_ones_share_the_next_lane():
    road = Road()
    batches = Batches(road.send, lanes=1, count=3)
    tasks = await asked(batches, "a", "b", "c", "d", "e")
    assert road.carried == [["a"]]
    road.open.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D", "E"]
    assert road.carried == [["a"], ["b", "c", "d"], ["e"]]


async def test_whoever_stopped_waiting_is_not_sent():
    road = Road()
    batches = Batches(road.send, lanes=1)
    first, second, third = await asked(batches, "a", "b", "c")
    second.cancel()
    first.cancel()
    road.open.set()
    assert await third == "C"
    assert road.carried == [["a"], ["c"]]


async def test_what_is_heavy_travels_alone():
    road = Road()
    road.open.set()
    batches = Batches(road.send, lanes=1, weigh=len, weight=4)
    await asyncio.gather(*(batches.ask(item) for item in ("x", "aa", "bb", "heaviest", "c")))
    assert road.carried == [["x"], ["aa", "bb"], ["heaviest"], ["c"]]


async def test_each_hears_of_its_own_failure_and_all_of_a_common_one():
    road = Road()
    batches = Batches(road.send, lanes=1)
    tasks = await asked(batches, "first", "good", "bad")
    road.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[:2] == ["FIRST", "GOOD"]
    assert isinstance(answers[2], StoreConflictError)
    for item, error in (("trouble", StoreUnreachableError), ("bug", KeyError)):
        with pytest.raises(error):
            await batches.ask(item)
    assert await batches.ask("next") == "NEXT"
