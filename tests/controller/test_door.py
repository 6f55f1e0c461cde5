"""The listening socket of claims: real connections on loopback, a handler that echoes."""

import asyncio
import contextlib
import socket

import pytest

from factotum.controller.tls import door as door_module
from factotum.controller.tls.door import Door
from support.http.certificates import asking, serving


class Echo(asyncio.Protocol):
    """Sends back what it gets; a word "token" counts as one."""

    def __init__(self, door):
        self.door = door
        self.lost = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data == b"token":
            self.door.proved(self.transport, f"pod of {id(self)}")
        self.transport.write(data)

    def connection_lost(self, _):
        self.door.lost += 1


class Visitor:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def says(self, words=b"hello"):
        self.writer.write(words)
        async with asyncio.timeout(5):
            return await self.reader.read(100)

    async def is_out(self, seconds=5.0):
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(100) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


class CountingDoor(Door):
    lost = 0


@contextlib.asynccontextmanager
async def opened(**options):
    """Return a door and a way to come to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    door = CountingDoor(**options)
    await door.open(lambda: Echo(door), "127.0.0.1", port, serving())
    visitors = []

    async def come():
        visitor = Visitor(*await asyncio.open_connection("127.0.0.1", port, ssl=asking()))
        visitors.append(visitor)
        assert await visitor.says() in (b"hello", b"")
        return visitor

    try:
        yield door, come
    finally:
        for visitor in visitors:
            visitor.writer.close()
        await door.close()


async def test_who_comes_is_counted_until_he_goes():
    async with opened() as (door, come):
        first = await come()
        await come()
        assert len(door) == 2
        first.writer.close()
        await first.writer.wait_closed()
        await asyncio.sleep(0.05)

        assert (len(door), door.lost) == (1, 1)


async def test_no_more_stand_here_than_there_are_places():
    async with opened(places=3) as (door, come):
        visitors = [await come() for _ in range(10)]

        assert len(door) == 3
        assert [await each.is_out(0.2) for each in visitors] == [True] * 7 + [False] * 3
        assert door.lost == 7


async def test_the_oldest_that_showed_no_token_makes_room():
    async with opened(places=3) as (door, come):
        first, second, third = [await come() for _ in range(3)]
        await first.says(b"token")
        fourth = await come()

        assert await second.is_out()
        assert [await each.says() for each in (first, third, fourth)] == [b"hello"] * 3
        assert len(door) == 3


async def test_among_tokens_alone_the_newcomer_is_put_out():
    async with opened(places=2) as (door, come):
        visitors = [await come() for _ in range(2)]
        for each in visitors:
            await each.says(b"token")
        with contextlib.suppress(ConnectionError):
            newcomer = await come()
            assert await newcomer.is_out()

        assert [await each.says() for each in visitors] == [b"hello"] * 2
        assert len(door) == 2


async def test_who_shows_no_token_in_time_is_put_out_whatever_he_does():
    async with opened(unproved_seconds=0.3) as (door, come):
        silent, proved, dripping = [await come() for _ in range(3)]
        await proved.says(b"token")

        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                if not await dripping.says(b"x"):
                    break
                await asyncio.sleep(0.05)
            else:
                pytest.fail("it dripped for five seconds")

        assert await silent.is_out()
        assert await proved.says() == b"hello"
        assert len(door) == 1


async def test_nobody_is_put_out_before_his_time():
    async with opened(unproved_seconds=5) as (door, come):
        silent = await come()

        assert not await silent.is_out(0.5)
        assert len(door) == 1


async def test_a_token_of_one_that_is_out_already_is_nothing():
    async with opened(places=1) as (door, come):
        await come()
        ((place, visit),) = door._visits.items()
        await come()
        door.proved(visit.transport, "pod")
        door.proved(None, "pod")

        assert place not in door._visits
        assert len(door) == 1


async def test_a_closed_door_lets_nobody_in():
    async with opened() as (door, come):
        await door.close()

        with pytest.raises(ConnectionRefusedError):
            await come()


def test_there_are_never_more_places_than_descriptors_and_always_one():
    assert 1 <= door_module._places() <= 8192
