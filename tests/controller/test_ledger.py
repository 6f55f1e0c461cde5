"""One lock and one memory a job: who waits for it, and when it is forgotten. The loop is real."""

import asyncio

import pytest

from factotum.controller.observe.ledger import Ledger
from support.builders.jobs import JOB_UID, make_report


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_two_have_one_job_open_at_once():
    ledger = Ledger()
    inside = most = 0

    async def visit():
        nonlocal inside, most
        async with ledger.open(JOB_UID):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(10)))

    assert most == 1


async def test_two_jobs_do_not_wait_for_each_other():
    ledger = Ledger()

    async with ledger.open(JOB_UID), asyncio.timeout(1), ledger.open("another"):
        assert len(ledger) == 2


async def test_a_job_that_is_closed_keeps_its_one_lock_for_those_who_wait():
    ledger = Ledger()
    order = []

    async def visit(name, *, closes):
        async with ledger.open(JOB_UID):
            order.append(f"{name} in")
            if closes:
                ledger.close(JOB_UID)
            await settle()
            order.append(f"{name} out")

    first = asyncio.create_task(visit("first", closes=True))
    second = asyncio.create_task(visit("second", closes=False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # Comes after the page was closed, and must not get a lock of its own.
    third = asyncio.create_task(visit("third", closes=False))
    await asyncio.gather(first, second, third)

    assert order == [
        f"{name} {what}" for name in ("first", "second", "third") for what in ("in", "out")
    ]
    assert len(ledger) == 0


async def test_what_was_remembered_is_forgotten_for_those_who_wait_too():
    ledger = Ledger()
    seen = []

    async def wait():
        async with ledger.open(JOB_UID) as memory:
            seen.append(memory.report)

    async with ledger.open(JOB_UID) as memory:
        memory.hear(make_report())
        waiting = asyncio.create_task(wait())
        await settle()
        ledger.close(JOB_UID)
    await waiting

    assert seen == [None]


async def test_a_job_that_is_not_closed_is_remembered():
    ledger = Ledger()
    async with ledger.open(JOB_UID) as memory:
        memory.hear(make_report())

    async with ledger.open(JOB_UID) as memory:
        assert memory.report == make_report()
    assert len(ledger) == 1


async def test_whoever_is_cancelled_while_waiting_leaves_nothing_behind():
    ledger = Ledger()

    async def visit():
        async with ledger.open(JOB_UID):
            pass

    async with ledger.open(JOB_UID):
        waiting = asyncio.create_task(visit())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        ledger.close(JOB_UID)

    assert len(ledger) == 0
    async with asyncio.timeout(1), ledger.open(JOB_UID):
        pass


async def test_an_error_within_lets_go_of_the_lock():
    ledger = Ledger()
    with pytest.raises(KeyError):
        async with ledger.open(JOB_UID):
            raise KeyError

    async with asyncio.timeout(1), ledger.open(JOB_UID):
        pass


async def test_failures_are_counted_in_a_row_until_the_job_is_forgotten():
    ledger = Ledger()
    assert ledger.failures(JOB_UID) == 1
    async with ledger.open(JOB_UID):
        pass

    assert [ledger.failures(JOB_UID) for _ in range(3)] == [1, 2, 3]
    async with ledger.open(JOB_UID):
        ledger.close(JOB_UID)
    assert ledger.failures(JOB_UID) == 1
    assert len(ledger) == 0
