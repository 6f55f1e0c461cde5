"""What orders and attempts mean for a job's entry in Consul.

Real: the cache, the mirror and its feeding. The store and the API are in memory.
"""

import pytest

from support.model.mirrored import Bench


@pytest.fixture
async def bench():
    bench = Bench()
    bench.mirror.start()
    yield bench
    await bench.mirror.stop()


async def entries(bench, *steps):
    """Take a job through states and reasons; return its entry after each."""
    seen = []
    for number, (state, reason) in enumerate(steps, start=1):
        completed = number if state == "DONE" else 0
        failed = {"outcome": "FAILED"} if state == "DONE" and reason != "Succeeded" else {}
        bench.job("a", state, reason, completed=completed, **failed)
        await bench.settled()
        seen.append(bench.entry()[1:])
    return seen


async def test_a_retry_is_queued_in_between_and_never_done(bench):
    assert await entries(
        bench,
        ("WORKING", "Claimed"),
        ("QUEUED", "Retrying"),
        ("WORKING", "Claimed"),
        ("DONE", "Succeeded"),
    ) == [
        ("WORKING", "RUNNING"),
        ("QUEUED", "WAITING"),
        ("WORKING", "RUNNING"),
        ("DONE", "SUCCEEDED"),
    ]


async def test_a_suspended_job_is_queued(bench):
    assert await entries(
        bench, ("WORKING", "Suspending"), ("QUEUED", "Suspended"), ("WORKING", "Claimed")
    ) == [("WORKING", "RUNNING"), ("QUEUED", "WAITING"), ("WORKING", "RUNNING")]


async def test_a_resumed_job_is_queued_again(bench):
    assert await entries(
        bench,
        ("WORKING", "Claimed"),
        ("DONE", "TaskFailed"),
        ("QUEUED", "Resumed"),
        ("WORKING", "Claimed"),
        ("DONE", "Cancelled"),
    ) == [
        ("WORKING", "RUNNING"),
        ("DONE", "FAILED"),
        ("QUEUED", "WAITING"),
        ("WORKING", "RUNNING"),
        ("DONE", "FAILED"),
    ]


@pytest.mark.parametrize("reason", ["Suspended", "Retrying", "Relaunching"])
async def test_a_job_that_wants_to_run_comes_before_one_that_does_not_now(reason, bench):
    bench.job("a", "QUEUED", reason)
    bench.job("b", "QUEUED", "WaitingForWorker")
    await bench.settled()
    both = bench.entry()
    bench.job("b", "DONE", "Succeeded", completed=1)
    await bench.settled()

    assert both == ("b", "QUEUED", "WAITING")
    assert bench.entry() == ("a", "QUEUED", "WAITING")
