"""Handshakes at the door: slow, half, wrong or none; and certificates that change while it is open.

Real: TLS on loopback, by Python's own module; a handler that echoes.
"""

import asyncio
import contextlib
import resource
import socket
import ssl
from datetime import UTC, datetime

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from factotum.controller.tls.door import Door
from support.http.certificates import asking, identity_of, loopback

CLIENT_HELLO = bytes.fromhex("160301020001000001fc0303")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


@contextlib.asynccontextmanager
async def opened(material=None, **options):
    """Return a door, who it shows, and where it is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    identity = identity_of(material or loopback())
    door = Door(**options)
    await door.open(Echo, "127.0.0.1", port, identity.server)
    try:
        yield door, identity, port
    finally:
        await door.close()


async def speak(port, context):
    """Say something over TLS and return what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"hello")
        async with asyncio.timeout(5):
            return await reader.read(100)
    finally:
        writer.close()


async def ended(reader, seconds):
    """Whether the other side hangs up in time."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(4096):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(CLIENT_HELLO, id="half a greeting"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"\x00" * 100, id="half a record"),
    ],
)
async def test_a_handshake_that_never_ends_is_put_out(first):
    async with opened(unproved_seconds=0.3) as (door, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)

        assert await ended(reader, 3)
        assert len(door) == 0
        writer.close()


async def test_a_handshake_drop_by_drop_gets_no_longer_than_any_other():
    async with opened(unproved_seconds=0.4) as (door, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ending = asyncio.create_task(ended(reader, 5))
        for byte in CLIENT_HELLO * 4:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if ending.done():
                break

        assert await ending
        assert len(door) == 0
        writer.close()


@pytest.mark.parametrize(
    "words", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"\x16\x03\x01\x00\x04abcd"]
)
async def test_who_does_not_speak_tls_is_out_at_once(words):
    async with opened() as (door, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(words)

        assert await ended(reader, 5)
        await asyncio.sleep(0.05)
        assert len(door) == 0
        assert await speak(port, asking()) == b"hello"
        writer.close()


async def test_half_handshakes_that_take_all_places_make_room_for_a_whole_one():
    async with opened(places=20) as (door, _, port):
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        for _, writer in crowd:
            writer.write(CLIENT_HELLO)

        assert await speak(port, asking()) == b"hello"
        assert len(door) <= 20
        for _, writer in crowd:
            writer.close()


async def test_a_thousand_half_handshakes_take_little_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with opened() as (door, _, port):
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        for _, writer in crowd:
            writer.write(CLIENT_HELLO)
        await asyncio.sleep(0.2)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert len(door) == 400
        for _, writer in crowd:
            writer.close()

    # Of each the client's half is here, too; asyncio's own would take 256 KiB for ours alone.
    assert grown < 400 * 160


async def test_older_versions_of_tls_are_not_spoken():
    async with opened() as (_, _, port):
        context = asking()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        with pytest.raises((ssl.SSLError, ConnectionError)):
            await speak(port, context)


async def test_a_new_certificate_is_shown_without_a_restart_and_open_lines_stay():
    now = datetime.now(UTC)
    first = authority.make(("127.0.0.1",), now, Lifetimes())
    async with opened(first) as (_, identity, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asking(first))
        second = authority.make(("127.0.0.1",), now, Lifetimes())
        identity.take(trusted=second.trusted, chain=second.chain, key=second.key)

        assert await speak(port, asking(second)) == b"hello"
        with pytest.raises(ssl.SSLCertVerificationError):
            await speak(port, asking(first))
        writer.write(b"still here")
        assert await reader.read(100) == b"still here"
        writer.close()


async def test_who_knows_the_old_authority_alone_is_served_after_the_change():
    now = datetime.now(UTC)
    first = authority.make(("127.0.0.1",), now, Lifetimes())
    # Its end is two years away by these, so that a new one is due now.
    soon = Lifetimes(authority_overlap=Lifetimes().authority)
    second = authority.renew(first, ("127.0.0.1",), now, soon)
    assert second.authority_key != first.authority_key
    async with opened(second) as (_, _, port):
        assert await speak(port, asking(first)) == b"hello"
        assert await speak(port, asking(second)) == b"hello"


async def test_who_was_of_use_may_stay_longer():
    async with opened(unproved_seconds=0.5) as (door, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asking())
        (visit,) = door._visits.values()
        for _ in range(4):
            await asyncio.sleep(0.25)
            door.renewed(visit.transport)
        writer.write(b"hello")

        assert await reader.read(100) == b"hello"
        assert await ended(reader, 3)
        writer.close()
