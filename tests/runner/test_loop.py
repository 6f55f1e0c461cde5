"""The event loop with real descriptors, clocks and threads."""

import os
import threading
import time

import pytest

from factotum.runner import loop as loops


@pytest.fixture(params=["epoll", "poll"])
def loop(request, monkeypatch):
    if request.param == "poll":
        monkeypatch.setattr(loops, "_make_poller", loops._PollPoller)
    made = loops.Loop()
    yield made
    made.close()


def test_a_descriptor_that_can_be_read_is_told_of(loop):
    read, write = os.pipe()
    seen = []
    loop.add_reader(read, lambda: seen.append(os.read(read, 10)))
    os.write(write, b"x")

    loop.run_once()

    assert seen == [b"x"]
    loop.remove_reader(read)
    os.close(read)
    os.close(write)


def test_timers_come_in_order_and_not_if_cancelled(loop):
    now = time.monotonic()
    seen = []
    loop.call_at(now + 0.02, lambda: seen.append("second"))
    loop.call_at(now + 0.01, lambda: seen.append("first"))
    loop.call_at(now + 0.015, lambda: seen.append("never")).cancel()
    while len(seen) < 2:
        loop.run_once()

    assert seen == ["first", "second"]
    assert time.monotonic() - now >= 0.02


def test_another_thread_wakes_the_loop(loop):
    seen = []
    thread = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(lambda: seen.append(1)))
    thread.start()
    while not seen:
        loop.run_once()

    thread.join()


def test_a_flood_of_wake_ups_loses_no_call(loop):
    seen = []
    for number in range(100_000):
        loop.call_soon_threadsafe(lambda number=number: seen.append(number))
    loop.run_once()

    assert len(seen) == 100_000


def test_it_sleeps_while_nothing_happens(loop):
    begun = time.process_time()
    loop.call_at(time.monotonic() + 0.3, lambda: None)
    loop.run_once()

    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize("seconds", [4e6, 2.0**31, 2.0**63, 1e300])
def test_a_far_timer_can_be_waited_for(loop, seconds):
    seen = []
    loop.call_at(time.monotonic() + seconds, lambda: seen.append("far"))
    timer = threading.Timer(0.1, lambda: loop.call_soon_threadsafe(lambda: seen.append("near")))
    timer.start()
    while not seen:
        loop.run_once()

    timer.join()
    assert seen == ["near"]
