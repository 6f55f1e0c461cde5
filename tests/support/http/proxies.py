"""A proxy that loses, doubles or holds requests, or cuts the line, as a test decides per request.

Stands before the operator's claims port, with the operator's own certificates, or before the API
server (then it speaks TLS to it and plain HTTP to the operator). It knows HTTP just well enough to
see where a request ends.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from factotum.controller.tls.authority import Material
from factotum.controller.tls.identity import Identity, client_context
from support.http.listening import Listening


class Act(StrEnum):
    """What to do with a request."""

    PASS = "pass"
    REFUSE = "refuse"
    """Close the line: the request never arrives."""
    LOSE_ANSWER = "lose answer"
    """Let it arrive and be answered, and close the line instead of passing the answer on."""
    HOLD = "hold"
    """Keep it until `release`, then let it arrive."""
    DOUBLE = "double"
    """Let it arrive twice at once, and pass one of the answers on."""
    DELAY = "delay"
    """Keep it for `delay_seconds`, then let it arrive."""


class Call(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes


Rule = Callable[[Call], Act]


class Proxy(Listening):
    """Passes HTTP on to one server; `rule` decides about each request."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        as_operator: bool = False,
    ) -> None:
        super().__init__()
        self.rule: Rule = lambda _: Act.PASS
        self.calls: list[tuple[Call, Act]] = []
        self.delay_seconds = 1.0
        self._doubles: set[asyncio.Task[None]] = set()
        self._upstream = (host, port)
        self._tls = tls
        self._identity = Identity() if as_operator else None
        self._held = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self._identity is None else 'https'}://127.0.0.1:{self.port}"

    def _shown(self) -> ssl.SSLContext | None:
        return None if self._identity is None else self._identity.server

    def lead_to(self, host: str, port: int) -> None:
        """Name the server, where it was not known yet."""
        self._upstream = (host, port)

    def speak_for(self, material: Material) -> None:
        """Show an operator's certificates, and trust it: until then nobody gets through."""
        assert self._identity is not None
        self._tls = client_context(material.trusted)
        self._identity.take(trusted=material.trusted, chain=material.chain, key=material.key)

    def seen(self, act: Act) -> list[Call]:
        """Give the requests that had this done to them."""
        return [call for call, done in list(self.calls) if done is act]

    def release(self) -> None:
        """Let what is held go on; from now on HOLD holds nothing."""
        self._loop.call_soon_threadsafe(self._held.set)

    def cut(self) -> None:
        """Close every line."""
        self._loop.call_soon_threadsafe(self._close_all)

    def _close_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _before(self, act: Act, request: bytes) -> None:
        """Do what is to be done before a request is passed on."""
        if act is Act.HOLD:
            await self._held.wait()
        if act is Act.DELAY:
            await asyncio.sleep(self.delay_seconds)
        if act is Act.DOUBLE:
            self._send_besides(request)

    def _send_besides(self, request: bytes) -> None:
        """Send a request on a line of its own, too, whose answer nobody gets."""
        double = asyncio.create_task(self._send_and_drop(request))
        self._doubles.add(double)
        double.add_done_callback(self._doubles.discard)

    async def _send_and_drop(self, request: bytes) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(
                *self._upstream, ssl=self._tls, limit=1 << 24
            )
            try:
                writer.write(request)
                await _relay(reader, None)
            finally:
                writer.transport.abort()

    async def _end(self) -> None:
        self._close_all()
        await super()._end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                call = Call(method, path, body)
                act = self.rule(call)
                self.calls.append((call, act))
                if act is Act.REFUSE:
                    return
                await self._before(act, head + body)
                if upstream is None:
                    upstream = await asyncio.open_connection(
                        *self._upstream, ssl=self._tls, limit=1 << 24
                    )
                    self._writers.add(upstream[1])
                upstream[1].write(head + body)
                await upstream[1].drain()
                target = None if act is Act.LOSE_ANSWER else writer
                await _relay(upstream[0], target)
                if act is Act.LOSE_ANSWER:
                    return
                if b"connection: close" in head.lower():
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            return
        finally:
            for each in (writer, *(upstream[1:] if upstream else ())):
                self._writers.discard(each)
                # What was passed on is still to be sent; a closed one is not cut off.
                if not each.is_closing():
                    each.transport.abort()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
    """Pass one answer on, or read it to its end and drop it."""

    async def give(data: bytes) -> None:
        if writer is not None:
            writer.write(data)
            await writer.drain()

    head = await reader.readuntil(b"\r\n\r\n")
    await give(head)
    if b"transfer-encoding: chunked" not in head.lower():
        await give(await reader.readexactly(_length(head)))
        return
    while True:
        size = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(size, 16) + 2)
        await give(size + chunk)
        if int(size, 16) == 0:
            return
