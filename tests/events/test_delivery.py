"""Delivery of events to a real HTTP server that fails on demand.

Real: threads, sockets, time. Events are stand-ins whose body is their number: what events
say is the matter of test_updates.py, a resolver that is silent that of test_addresses.py.
"""

import itertools
import random
import threading
import time

import pytest

from factotum.events.delivery import Delivery
from factotum.events.posting import Answer
from factotum.events.retries import RetryPolicy
from support.http.deliveries import QUICK, bodies, body_of, event, open_files
from support.http.receivers import DROP, HANG, Receiver, Reply, reply


def test_events_arrive_in_order_one_at_a_time(deliver):
    with Receiver(lambda *_: Reply(reply(200).raw, delay=0.01)) as receiver:
        delivery, _ = deliver(receiver.url)
        for number in range(20):
            delivery.put(event(number))
        delivery.close()

        assert delivery.drain(10)
    assert bodies(receiver) == [b"%d" % number for number in range(20)]
    assert (delivery.produced, delivery.delivered) == (20, 20)
    times = [request.at for request in receiver.requests]
    assert all(later - earlier >= 0.009 for earlier, later in itertools.pairwise(times))


def test_request_has_exactly_three_headers_and_a_connection_of_its_own(deliver):
    with Receiver() as receiver:
        delivery, _ = deliver(receiver.url + "/a?b")
        delivery.put(event(1))
        delivery.put(event(22))
        delivery.close()
        delivery.drain(10)

    first, second = receiver.requests
    assert first.method == "POST"
    assert first.target == "/a?b"
    assert first.headers == (
        ("Host", f"127.0.0.1:{receiver.port}"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Length", "1"),
    )
    assert second.header("Content-Length") == "2"
    assert receiver.connections == 2


def test_putting_never_waits_for_the_consumer(deliver):
    with Receiver([HANG]) as receiver:
        delivery, _ = deliver(receiver.url)
        begun = time.monotonic()
        for number in range(1000):
            delivery.put(event(number))

        assert time.monotonic() - begun < 0.5
        receiver.wait_for(1)
        delivery.abort()


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(reply(201), id="201"),
        pytest.param(reply(204), id="204"),
        pytest.param(reply(302, {"Location": "/other"}), id="redirect"),
        pytest.param(reply(404), id="404"),
        pytest.param(reply(500), id="500"),
        pytest.param(DROP, id="closed"),
        pytest.param(Reply(b"HTTP/2 200 OK\r\n\r\n"), id="other-version"),
        pytest.param(Reply(b"HTTP/1.1 2000 OK\r\n\r\n"), id="no-status"),
        pytest.param(Reply(b"hello\r\n\r\n"), id="not-http"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\n"), id="cut-in-headers"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), id="endless-headers"),
    ],
)
def test_failed_try_is_repeated_with_the_same_body(failure, deliver):
    with Receiver([failure, failure, 200]) as receiver:
        delivery, failures = deliver(receiver.url)
        delivery.put(event(1))
        delivery.put(event(2))
        delivery.close()

        assert delivery.drain(10)
    assert bodies(receiver) == [b"1", b"1", b"1", b"2"]
    assert delivery.delivered == 2
    assert [body for body, _, _ in failures] == [b"1", b"1"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhi", id="body-cut-short"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhi", id="no-length"),
        pytest.param(b"HTTP/1.1 200\r\n\r\n", id="no-reason"),
        pytest.param(b"HTTP/1.1 200 Not really\r\n\r\n", id="other-reason"),
        pytest.param(b"HTTP/1.1 200 OK\nX: y\n\n", id="bare-line-feeds"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", id="broken-chunks"
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\n"
            b"HTTP/1.1 200 OK\r\n\r\n",
            id="interim-answers",
        ),
    ],
)
def test_status_200_counts_as_soon_as_the_headers_are_there(answer, deliver):
    with Receiver([Reply(answer)]) as receiver:
        delivery, failures = deliver(receiver.url)
        delivery.put(event(1))
        delivery.close()

        assert delivery.drain(10)
    assert (delivery.delivered, failures) == (1, [])
    assert len(receiver.requests) == 1


def test_event_that_failed_three_times_is_dropped_and_the_next_one_follows(deliver):
    with Receiver([500, 503, 400, 200]) as receiver:
        delivery, failures = deliver(receiver.url)
        delivery.put(event(1))
        delivery.put(event(2))
        delivery.close()

        assert delivery.drain(10)
    assert bodies(receiver) == [b"1", b"1", b"1", b"2"]
    assert (delivery.produced, delivery.delivered) == (2, 1)
    assert [(status, reason) for _, status, reason in failures] == [
        (500, "Status"),
        (503, "Status"),
        (400, "Status"),
    ]


def test_pauses_follow_the_policy_and_none_follows_the_last_try(deliver):
    with Receiver([500]) as receiver:
        delivery, _ = deliver(receiver.url, RetryPolicy(pauses=(0.1, 0.3)))
        delivery.put(event(1))
        delivery.close()
        begun = time.time()
        delivery.drain(10)
        took = time.time() - begun

    first, second, third = (request.at for request in receiver.requests)
    assert 0.1 <= second - first < 0.25
    assert 0.3 <= third - second < 0.45
    assert took < 0.6


def test_refused_connection_is_a_failure_in_the_original_s_words(deliver):
    delivery, failures = deliver("http://127.0.0.1:1/")
    delivery.put(event(1))
    delivery.close()

    assert delivery.drain(10)
    assert failures == [(b"1", 0, "Connection refused (os error 111)")] * 3


@pytest.mark.parametrize("url", ["https://a..b/", f"http://{'a' * 70}.invalid/", "http://a<b/"])
def test_name_that_cannot_be_resolved_is_a_failure(url, deliver):
    delivery, failures = deliver(url)
    delivery.put(event(1))
    delivery.close()

    assert delivery.drain(30)
    assert [status for _, status, _ in failures] == [0, 0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda *_: HANG, id="silent"),
        pytest.param(lambda *_: Reply(reply(200).raw, delay=1.0), id="too-late"),
    ],
)
def test_answer_must_come_in_time(answer, deliver):
    with Receiver(answer) as receiver:
        delivery, failures = deliver(receiver.url, RetryPolicy(pauses=(0,), timeout=0.2))
        begun = time.monotonic()
        delivery.put(event(1))
        delivery.close()

        assert delivery.drain(10)
        assert 0.6 <= time.monotonic() - begun < 1.5
    assert failures == [(b"1", 0, "no answer within 0.2 s")] * 3


def test_answer_that_comes_in_drops_does_not_extend_the_time(deliver):
    stop = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
                if stop.wait(0.05):
                    return
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    return

    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener])
        thread.start()
        policy = RetryPolicy(tries=1, timeout=0.3)
        delivery, failures = deliver(f"http://127.0.0.1:{listener.getsockname()[1]}/", policy)
        begun = time.monotonic()
        delivery.put(event(1))
        delivery.close()
        delivery.drain(10)
        took = time.monotonic() - begun
        stop.set()
        thread.join()

    assert 0.3 <= took < 1
    assert failures[0][2] == "no answer within 0.3 s"


def test_try_without_a_descriptor_does_not_count():
    """A client of our own, since a server in this process would lack descriptors as well."""

    class Short:
        def __init__(self):
            self.answers = [Answer(0, "", is_shortage=True)] * 2 + [
                Answer(500, ""),
                Answer(200, ""),
            ]

        def post(self, _, connected):
            connected()
            return self.answers.pop(0)

        def abort(self):
            """Nothing hangs here."""

    failures = []
    delivery = Delivery(
        Short,
        body_of,
        policy=QUICK,
        warn=lambda _, answer: failures.append(answer.status),
    )
    before = open_files()
    delivery.put(event(1))
    delivery.close()

    assert delivery.drain(10)
    assert (delivery.delivered, failures) == (1, [500])
    delivery.abort()
    assert open_files() == before


def test_nothing_is_left_open_after_any_kind_of_answer(deliver):
    chance = random.Random(4)  # noqa: S311 - a repeatable mixture
    kinds = [reply(200), reply(500), DROP, Reply(b"nonsense\r\n\r\n"), reply(302)]
    with Receiver(lambda *_: chance.choice(kinds)) as receiver:
        delivery, _ = deliver(receiver.url, RetryPolicy(pauses=(0,)))
        before = open_files()
        for number in range(100):
            delivery.put(event(number))
        delivery.close()
        assert delivery.drain(30)
        receiver.settle()
        after = open_files()

    assert after <= before
    assert len(set(bodies(receiver))) == 100
