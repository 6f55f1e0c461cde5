"""The work queue on a real event loop, with delays of milliseconds."""

import asyncio

import pytest

from factotum.controller.work_queue import WorkQueue


async def taken(queue, seconds=0.05):
    """Return the next key, None if there is none for a while."""
    try:
        return await asyncio.wait_for(queue.get(), seconds)
    except TimeoutError:
        return None


async def test_a_key_added_twice_is_looked_at_once():
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")

    assert len(queue) == 1
    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue) is None


async def test_keys_come_in_the_order_they_were_added():
    queue = WorkQueue()
    for key in "bac":
        queue.add(key)

    assert [await taken(queue) for _ in range(3)] == ["b", "a", "c"]


async def test_a_key_added_while_it_is_looked_at_comes_again_afterwards():
    queue = WorkQueue()
    queue.add("a")
    await taken(queue)
    queue.add("a")

    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"


async def test_a_key_added_later_comes_later():
    queue = WorkQueue()
    queue.add_later("a", 0.03)

    assert await taken(queue, 0.01) is None
    assert await taken(queue, 0.5) == "a"


@pytest.mark.parametrize("delays", [(0.02, 60), (60, 0.02)], ids=["first", "second"])
async def test_of_two_delays_the_shorter_counts(delays):
    queue = WorkQueue()
    for delay in delays:
        queue.add_later("a", delay)

    assert await taken(queue, 0.5) == "a"
    queue.done("a")
    assert await taken(queue, 0.05) is None


async def test_a_key_that_comes_at_once_does_not_come_again_later():
    queue = WorkQueue()
    queue.add_later("a", 0.02)
    queue.add("a")
    queue.add_later("a", 0.02)

    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue, 0.06) is None


async def test_a_negative_delay_is_none():
    queue = WorkQueue()
    queue.add_later("a", -5)

    assert await taken(queue) == "a"


async def test_a_forgotten_key_does_not_come():
    queue = WorkQueue()
    queue.add_later("a", 0.01)
    queue.forget("a")
    queue.forget("never seen")

    assert await taken(queue, 0.05) is None


async def test_no_two_workers_have_one_key_and_no_addition_is_lost():
    queue = WorkQueue()
    busy, looked = set(), 0

    async def work():
        nonlocal looked
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0)
            looked += 1
            busy.discard(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for index in range(300):
        queue.add("abc"[index % 3])
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    for worker in workers:
        assert not worker.done()
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert len(queue) == 0
    assert looked >= 100
