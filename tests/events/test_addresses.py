"""A consumer whose name has several addresses, of which some refuse, hang or lead nowhere.

Real: sockets and time. The addresses are given instead of resolved, since no name of every
machine has what is wanted. A black hole is a listener whose queue is full.
"""

import contextlib
import resource
import socket
import threading
import time

import pytest

from factotum.events.connecting import Race
from factotum.events.posting import Poster
from factotum.events.urls import parse_webhook_url
from support.http.receivers import DROP, HANG, Receiver


def address(port: int):
    kind = socket.SOCK_STREAM
    return socket.AF_INET, kind, socket.IPPROTO_TCP, "", ("127.0.0.1", port)


REFUSING = address(1)


@pytest.fixture
def black_hole():
    """An address that answers nothing to whoever wants to connect."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield address(listener.getsockname()[1])


def poster(*addresses, timeout=5.0, url="http://consumer.invalid/"):
    return Poster(parse_webhook_url(url), timeout, lambda _host, _port: list(addresses))


def post(client):
    begun = time.monotonic()
    answer = client.post(b"{}", lambda: None)
    return answer.status, answer.reason, time.monotonic() - begun


def test_second_address_is_tried_when_the_first_one_refuses():
    with Receiver() as receiver:
        status, _, seconds = post(poster(REFUSING, address(receiver.port)))

    assert status == 200
    assert seconds < 0.2


def test_second_address_is_tried_when_the_first_one_is_a_black_hole(black_hole):
    with Receiver() as receiver:
        status, _, seconds = post(poster(black_hole, address(receiver.port)))

    assert status == 200
    assert 0.2 < seconds < 1


def test_every_address_is_tried_within_the_time_limit_however_many_are_black_holes(black_hole):
    with Receiver() as receiver:
        client = poster(*[black_hole] * 30, address(receiver.port), timeout=1)
        status, _, seconds = post(client)

    assert status == 200
    assert seconds < 1


def test_address_that_worked_is_asked_first_the_next_time(black_hole):
    with Receiver() as receiver:
        client = poster(black_hole, address(receiver.port))
        post(client)
        status, _, seconds = post(client)

    assert status == 200
    assert seconds < 0.2


@pytest.mark.parametrize("answer", [HANG, DROP], ids=["hangs", "closes"])
def test_next_try_begins_with_another_address_when_one_takes_the_event_and_fails(answer):
    with Receiver([answer]) as broken, Receiver() as receiver:
        client = poster(address(broken.port), address(receiver.port), timeout=0.3)
        first, second = post(client)[0], post(client)[0]

    assert (first, second) == (0, 200)


def test_addresses_are_asked_in_turn_once_each_has_failed():
    with Receiver([DROP, 200]) as one, Receiver([DROP]) as other:
        client = poster(address(one.port), address(other.port))
        statuses = [post(client)[0] for _ in range(3)]

    assert statuses == [0, 0, 200]
    assert (one.connections, other.connections) == (2, 1)


def test_second_address_is_tried_when_the_first_one_is_silent_in_the_handshake():
    """The second one is as silent; that it was asked is what counts."""
    with Receiver([HANG]) as first, Receiver([HANG]) as second:
        ports = address(first.port), address(second.port)
        status, _, seconds = post(poster(*ports, timeout=1, url="https://consumer.invalid/"))

    assert status == 0
    assert seconds < 1.5
    assert (first.connections, second.connections) == (1, 1)


def test_error_is_that_of_the_last_address(black_hole):
    assert post(poster(REFUSING, REFUSING))[:2] == (0, "Connection refused (os error 111)")
    assert post(poster())[:2] == (0, "the name resolves to no address")
    assert post(poster(REFUSING, black_hole, timeout=0.3))[:2] == (0, "no answer within 0.3 s")


def test_black_hole_gives_its_descriptor_to_the_next_address(black_hole):
    with Receiver() as receiver, socket.socket() as probe:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = probe.detach()
        socket.socket(fileno=lowest_free).close()
        race = Race([black_hole, address(receiver.port)], time.monotonic() + 5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, hard))
        try:
            winner, place = race.run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        winner.close()

    assert place == address(receiver.port)


def test_losers_are_closed(black_hole):
    from support.http.deliveries import open_files

    with Receiver() as receiver:
        before = open_files()
        winner, _ = Race([black_hole] * 3 + [address(receiver.port)], time.monotonic() + 5).run()
        winner.close()
        receiver.settle()

        deadline = time.monotonic() + 10  # what an earlier test left to its threads may come and go
        while open_files() != before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_abort_ends_a_race_between_black_holes_at_once(black_hole):
    client = poster(black_hole, black_hole, timeout=30)
    timer = threading.Timer(0.4, client.abort)
    timer.start()
    status, _, seconds = post(client)
    timer.join()

    assert status == 0
    assert 0.3 < seconds < 2


@pytest.mark.parametrize("timeout", [2_147_484.0, 4_294_968.0, 9_223_372_037.0, float(2**64 - 1)])
def test_time_limit_beyond_what_the_system_counts_is_a_long_one(black_hole, timeout):
    """4,294,968 seconds are 704 ms for a call that counts milliseconds in 32 bits."""
    late = threading.Event()

    def answer(*_):
        late.wait(1.0)
        return DROP._replace(raw=b"HTTP/1.1 200 OK\r\n\r\n")

    with Receiver(answer) as receiver:
        status, _, seconds = post(poster(black_hole, address(receiver.port), timeout=timeout))

    assert status == 200
    assert seconds > 1


def test_resolver_that_takes_its_time_is_waited_for_no_longer_than_a_try_may_take():
    asked, may_answer = [], threading.Event()

    def resolve(host, port):
        asked.append((host, port))
        may_answer.wait(20)
        if len(asked) == 2:
            raise socket.gaierror(socket.EAI_AGAIN, "try again later")
        return [address(receiver.port)]

    with Receiver() as receiver:
        client = Poster(parse_webhook_url("http://consumer.invalid/"), 0.3, resolve)
        late = [post(client) for _ in range(2)]
        may_answer.set()
        in_time, failed, again = [post(client)[:2] for _ in range(3)]

    assert [each[:2] for each in late] == [(0, "no answer within 0.3 s")] * 2
    assert all(seconds < 2 for _, _, seconds in late)
    # The third try had the answer to the question of the first one.
    assert (in_time[0], again[0], len(asked)) == (200, 200, 3)
    assert failed == (0, "failed to lookup address information: try again later")
