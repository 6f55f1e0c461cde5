"""The end of a delivery: closing, patience, abort, and who is told.

Real: threads, sockets, time; events are stand-ins as in test_delivery.py.
"""

import signal
import subprocess
import sys
import threading
import time

from factotum.events.retries import RetryPolicy
from support.http.deliveries import event
from support.http.receivers import HANG, Receiver, Reply, reply


def test_abort_breaks_off_a_hanging_request_at_once(deliver):
    with Receiver([HANG]) as receiver:
        delivery, failures = deliver(receiver.url)
        delivery.put(event(1))
        delivery.put(event(2))
        delivery.close()
        receiver.wait_for(1)
        timer = threading.Timer(0.1, delivery.abort)
        timer.start()
        begun = time.monotonic()

        assert delivery.drain()
        assert time.monotonic() - begun < 1
        timer.join()
    assert delivery.finished
    assert (delivery.produced, delivery.delivered, failures) == (2, 0, [])


def test_abort_breaks_off_a_pause_at_once(deliver):
    delivery, failures = deliver("http://127.0.0.1:1/", RetryPolicy(pauses=(60,)))
    delivery.put(event(1))
    while not failures:
        time.sleep(0.01)
    begun = time.monotonic()
    delivery.abort()

    assert delivery.drain(5)
    assert time.monotonic() - begun < 1


def test_patience_ends_when_nothing_gets_through(deliver):
    policy = RetryPolicy(pauses=(0.05,), patience=0.3)
    delivery, failures = deliver("http://127.0.0.1:1/", policy)
    for number in range(1000):
        delivery.put(event(number))
    delivery.close()
    begun = time.monotonic()

    assert delivery.drain()
    assert 0.2 <= time.monotonic() - begun < 1
    assert delivery.delivered == 0
    assert failures


def test_patience_ends_in_the_middle_of_a_request(deliver):
    with Receiver([HANG]) as receiver:
        delivery, _ = deliver(receiver.url, RetryPolicy(patience=0.3))
        delivery.put(event(1))
        delivery.close()
        begun = time.monotonic()

        assert delivery.drain()
        assert 0.2 <= time.monotonic() - begun < 1


def test_patience_lasts_as_long_as_events_get_through(deliver):
    with Receiver(lambda *_: Reply(reply(200).raw, delay=0.1)) as receiver:
        delivery, _ = deliver(receiver.url, RetryPolicy(patience=0.4))
        for number in range(10):
            delivery.put(event(number))
        delivery.close()

        assert delivery.drain()
    assert delivery.delivered == 10


def test_limit_of_the_wait_ends_the_wait_but_not_the_delivery(deliver):
    with Receiver(lambda *_: Reply(reply(200).raw, delay=0.2)) as receiver:
        delivery, _ = deliver(receiver.url)
        delivery.put(event(1))
        delivery.close()

        assert not delivery.drain(0.01)
        assert delivery.drain(10)
    assert delivery.delivered == 1


def test_delivery_without_events_is_finished_when_closed(deliver):
    delivery, _ = deliver("http://127.0.0.1:1/")
    delivery.close()

    assert delivery.drain()


def test_end_is_told_in_the_sender_s_thread(deliver):
    told = []
    with Receiver() as receiver:
        delivery, _ = deliver(
            receiver.url, wake=lambda: told.append(threading.current_thread().name)
        )
        delivery.put(event(1))
        delivery.close()
        assert delivery.drain(10)
        delivery.abort()

    assert told == ["webhook"]


STOPPED = """
import sys, time
sys.path[:0] = {path!r}
from factotum.events.delivery import Delivery
from factotum.events.posting import Poster
from factotum.events.retries import RetryPolicy
from factotum.events.updates import Update
from factotum.events.urls import parse_webhook_url

policy = RetryPolicy(tries=100, pauses=(0.1,), patience=2.0)
delivery = Delivery(
    lambda: Poster(parse_webhook_url({url!r}), 1),
    lambda _: b"event",
    policy=policy,
    warn=lambda *_: print("tried", flush=True),
)
delivery.put(Update("", b"", "", "", ()))
delivery.close()
delivery.drain()
print(delivery.delivered)
"""


def test_time_in_which_the_process_is_stopped_does_not_wear_out_patience():
    with Receiver() as receiver:
        port = receiver.port
    script = STOPPED.format(path=sys.path, url=f"http://127.0.0.1:{port}/")
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "tried\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    with Receiver(port=port) as receiver:
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=10)

    assert out.split()[-1] == "1"
    assert len(receiver.requests) == 1
