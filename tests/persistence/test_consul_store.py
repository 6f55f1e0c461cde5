"""The store against a real Consul, and against what only looks like one."""

import asyncio
import socketserver
import threading
import time

import pytest

from factotum.persistence.consul import (
    ABSENT,
    ConsulAddressError,
    ConsulStore,
    StoredValue,
    parse_address,
)
from factotum.persistence.errors import (
    StoreConflictError,
    StoreRefusedError,
    StoreUnreachableError,
)
from factotum.persistence.sessions import Sessions
from support.consul.process import ConsulProcess, free_ports, silent_listener

pytestmark = pytest.mark.consul


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture
async def store(consul):
    async with ConsulStore(consul.address) as store:
        yield store


async def test_what_is_written_is_read_by_anybody_as_it_was(store, consul):
    value = '{"ü":"\x7f\u20ac"}'.encode()
    revision = await store.put("a/b", value, revision=0)
    assert await store.get("a/b") == StoredValue(value, revision)
    assert consul.get("a/b") == value


async def test_a_write_carries_the_revision_for_the_next_one(store, consul):
    first = await store.put("chain", b"1", revision=0)
    second = await store.put("chain", b"2", revision=first)
    assert second > first
    assert consul.get("chain") == b"2"


async def test_a_key_that_others_created_or_changed_is_not_overwritten(store, consul):
    assert await store.get("cas") == ABSENT
    consul.put("cas", b"theirs")
    with pytest.raises(StoreConflictError):
        await store.put("cas", b"ours", revision=0)
    seen = await store.get("cas")
    consul.put("cas", b"theirs again")
    with pytest.raises(StoreConflictError, match="stale"):
        await store.put("cas", b"ours", revision=seen.revision)
    assert consul.get("cas") == b"theirs again"


async def test_all_entries_below_a_prefix_are_read_at_once(store, consul):
    for path in ("all/1", "all/x/2", "all", "other"):
        consul.put(path, path.encode())
    assert {path: item.value for path, item in (await store.entries("all")).items()} == {
        "all/1": b"all/1",
        "all/x/2": b"all/x/2",
    }
    assert await store.entries("nothing") == {}


async def test_the_stores_revision_grows_with_every_write(store, consul):
    before = await store.probe("probe/-")
    consul.put("probe/x", b"x")
    assert await store.probe("probe/-") > before


async def test_an_empty_value_is_told_from_none(store, consul):
    consul.put("empty", b"")
    stored = await store.get("empty")
    assert stored.value == b""
    assert stored.revision > 0


async def test_a_value_that_is_too_big_is_refused_and_not_taken_for_an_outage(store):
    with pytest.raises(StoreRefusedError, match="413"):
        await store.put("big", b"x" * 600_000, revision=0)


async def test_writes_that_travel_together_succeed_and_fail_each_on_its_own(store, consul):
    consul.put("many/7", b"theirs")
    consul.put("many/150", b"theirs")
    answers = await asyncio.gather(
        *(store.put(f"many/{n}", b"%d" % n, revision=0) for n in range(200)),
        store.put("many/big", b"x" * 150_000, revision=0),
        store.put("many/big2", b"x" * 150_000, revision=0),
        store.put("many/too-big", b"x" * 600_000, revision=0),
        return_exceptions=True,
    )
    failures = {n: type(each) for n, each in enumerate(answers) if not isinstance(each, int)}
    assert failures == {7: StoreConflictError, 150: StoreConflictError, 202: StoreRefusedError}
    stored = await asyncio.gather(*(store.get(f"many/{n}") for n in range(201)))
    assert stored[200] == ABSENT
    assert stored[7].value == b"theirs"
    for number in set(range(200)) - {7, 150}:
        assert stored[number] == StoredValue(b"%d" % number, answers[number])


async def test_of_two_writes_of_one_key_that_travel_together_one_wins(store, consul):
    writes = (store.put("twice", value, revision=0) for value in (b"a", b"b", b"c"))
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert sorted(isinstance(each, int) for each in answers) == [False, False, True]
    assert consul.get("twice") in {b"a", b"b", b"c"}


async def test_reads_that_travel_together_know_keys_from_their_neighbours(store, consul):
    consul.put("near/a", b"1")
    consul.put("near/ab", b"2")
    consul.put("near/a/b", b"3")
    consul.put("near/e", b"")
    paths = ["near/a", "near", "near/ab", "near/a", "near/e", "near/b"] * 5
    values = [
        (found.value, found.revision > 0)
        for found in await asyncio.gather(*(store.get(path) for path in paths))
    ]
    once = [(b"1", True), (b"", False), (b"2", True), (b"1", True), (b"", True), (b"", False)]
    assert values == once * 5


async def test_the_given_address_counts_whatever_the_environment_says(consul, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with ConsulStore(consul.address) as store:
        assert await store.get("nothing") == ABSENT


async def test_nobody_listening_is_an_outage():
    async with ConsulStore(f"127.0.0.1:{free_ports(1)[0]}") as store:
        with pytest.raises(StoreUnreachableError, match="refused"):
            await store.get("x")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Consul-Index: 1\r\nContent-Length: 10\r\n\r\n[",
        b"HTTP/1.1 500 No\r\nContent-Length: 17\r\n\r\nNo cluster leader",
        b"HTTP/1.1 403 No\r\nContent-Length: 17\r\n\r\nPermission denied",
        b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 409 No\r\nContent-Length: 53\r\n\r\n"
        b'{"Errors":[{"OpIndex":0,"What":"Permission denied"}]}',
        b'HTTP/1.1 409 No\r\nContent-Length: 13\r\n\r\n{"Errors":[]}',
        b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"Results":null}',
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
async def test_an_answer_that_helps_nobody_is_an_outage(answer):
    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        async with ConsulStore(f"127.0.0.1:{server.server_address[1]}") as store:
            with pytest.raises(StoreUnreachableError):
                await store.put("x", b"x", revision=0)
            if b"Errors" not in answer and b"Results" not in answer:
                with pytest.raises(StoreUnreachableError):
                    await store.get("x")
        server.shutdown()


async def test_the_event_loop_goes_on_while_consul_says_nothing():
    with silent_listener() as address:
        async with ConsulStore(address) as store:
            asked = [asyncio.ensure_future(store.get("x")) for _ in range(20)]
            began = time.monotonic()
            await asyncio.sleep(0.05)
            assert time.monotonic() - began < 0.5
            assert not any(each.done() for each in asked)
            for each in asked:
                each.cancel()


@pytest.mark.parametrize(
    ("text", "address"),
    [("consul:8501", ("consul", 8501)), ("10.0.0.1", ("10.0.0.1", 8500))],
)
def test_an_address_is_a_host_and_maybe_a_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":8500", "consul:", "consul:x", "consul:99999", "http://c:1"])
def test_what_is_no_address_says_what_one_looks_like(text):
    with pytest.raises(ConsulAddressError, match="HOST:PORT"):
        parse_address(text)


async def test_who_may_not_write_any_more_sends_nothing_and_reads_on(consul):
    class Over(Exception):  # noqa: N818 - read as a word
        pass

    def may_write():
        raise Over

    async with (
        ConsulStore(consul.address) as free,
        ConsulStore(consul.address, may_write=may_write) as fenced,
    ):
        revision = await free.put("fenced", b"theirs", revision=0)
        with pytest.raises(Over):
            await fenced.put("fenced", b"ours", revision=revision)
        assert await fenced.get("fenced") == StoredValue(b"theirs", revision)


async def test_the_last_look_is_when_a_write_is_sent_and_not_when_it_is_asked_for(consul):
    """A write may stand in line for a while, and so may its thread."""
    looks = []

    async with ConsulStore(consul.address, may_write=lambda: looks.append(1)) as store:
        await asyncio.gather(*(store.put(f"look/{n}", b"1", revision=0) for n in range(20)))
    # Batched: a look a request, of which there are fewer than writes.
    assert 1 <= len(looks) < 20


async def test_a_session_is_renewed_however_many_writes_wait(store):
    sessions = Sessions(store)
    session = await sessions.create("busy", 10.0)
    await store.get("busy")
    writes = [asyncio.ensure_future(store.swap(f"busy/{n}", b"x", revision=0)) for n in range(3000)]
    await asyncio.sleep(0)
    assert await sessions.renew(session)
    waiting = sum(not write.done() for write in writes)
    await asyncio.gather(*writes)

    assert waiting > len(writes) / 2
