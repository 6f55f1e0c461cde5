"""Who may stand at the claims port, and for how long. Real: sockets and the event loop."""

import asyncio
import contextlib
import socket

import pytest

from factotum.controller.claims.door import Door


class Listening(asyncio.Protocol):
    """Hears everything and says nothing; a connection that says ``token`` has shown one."""

    def __init__(self, door):
        self.door = door

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data == b"token":
            self.door.proved(self.transport)


class Visitors:
    """Connections to one door."""

    def __init__(self, door, port, stack):
        self.door, self.port, self._stack = door, port, stack

    async def come(self, words=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._stack.callback(writer.close)
        writer.write(words)
        await writer.drain()
        await asyncio.sleep(0.05)
        return reader

    async def is_out(self, reader, seconds=0.05):
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                return await reader.read(1) == b""
            return True
        return reader.at_eof() or reader.exception() is not None


@pytest.fixture
async def opened():
    """Return a way to open doors; they are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_door(**limits):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            door = Door(**limits)
            await door.open(lambda: Listening(door), "127.0.0.1", port)
            stack.push_async_callback(door.close)
            return Visitors(door, port, stack)

        yield open_door


async def test_the_oldest_without_a_token_makes_room(opened):
    visitors = await opened(places=3)
    first, second, third = [await visitors.come() for _ in range(3)]
    fourth = await visitors.come()

    assert await visitors.is_out(first)
    assert [await visitors.is_out(v) for v in (second, third, fourth)] == [False] * 3
    assert len(visitors.door) == 3


async def test_who_has_shown_a_token_never_makes_room_for_one_who_has_not(opened):
    visitors = await opened(places=2)
    runner = await visitors.come(b"token")
    strangers = [await visitors.come() for _ in range(5)]

    assert not await visitors.is_out(runner)
    assert [await visitors.is_out(s) for s in strangers] == [True] * 4 + [False]


async def test_where_all_have_shown_a_token_who_comes_next_is_put_out(opened):
    visitors = await opened(places=2)
    runners = [await visitors.come(b"token") for _ in range(2)]
    late = await visitors.come()

    assert await visitors.is_out(late)
    assert [await visitors.is_out(r) for r in runners] == [False, False]


async def test_who_shows_no_token_in_time_is_put_out_whatever_it_says(opened):
    visitors = await opened(unproved_seconds=0.3)
    runner = await visitors.come(b"token")
    silent, talking = await visitors.come(), await visitors.come(b"P")

    assert await visitors.is_out(silent, 2)
    assert await visitors.is_out(talking, 2)
    assert not await visitors.is_out(runner)
    assert len(visitors.door) == 1


async def test_who_leaves_is_forgotten(opened):
    visitors = await opened(places=5)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", visitors.port)):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)

    assert len(visitors.door) == 0
