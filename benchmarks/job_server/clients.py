"""Clients that ask without a pause, each on a line of its own, and how long they wait."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

SHARES = (50, 95, 99)


class Pace(NamedTuple):
    """How fast answers came.

    Attributes:
        count: how many.
        a_second: of all clients together.
        waits_ms: for an answer, in milliseconds, by the percentiles of SHARES.
    """

    count: int
    a_second: float
    waits_ms: dict[int, float]


def get(path: str) -> bytes:
    """Return a request's bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, document: object, token: str = "") -> bytes:
    """Return a request's bytes, with a bearer token if there is one."""
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Line:
    """One connection, which stays open."""

    async def open(self, port: int) -> "Line":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"refused: {head[:80]!r} {body[:200]!r}")
        return body

    def close(self) -> None:
        self._writer.close()


def ask_all(port: int, clients: int, requests: Iterator[bytes], seconds: float) -> Pace:
    """Have clients ask until there is nothing left to ask, or the time is over."""
    return asyncio.run(_ask_all(port, clients, requests, seconds))


async def _ask_all(port: int, clients: int, requests: Iterator[bytes], seconds: float) -> Pace:
    lines = [await Line().open(port) for _ in range(clients)]
    try:
        return await keep_asking([line.ask for line in lines], requests, seconds)
    finally:
        for line in lines:
            line.close()


async def keep_asking(
    asking: Sequence[Callable[[Any], Awaitable[object]]], requests: Iterator[Any], seconds: float
) -> Pace:
    """Have each of some clients, given by how it asks, ask without a pause."""
    waits: list[float] = []
    began = time.perf_counter()

    async def client(ask: Callable[[Any], Awaitable[object]]) -> None:
        for request in requests:
            asked = time.perf_counter()
            if asked - began > seconds:
                return
            await ask(request)
            waits.append(time.perf_counter() - asked)

    await asyncio.gather(*map(client, asking))
    spent = time.perf_counter() - began
    waits.sort()
    shares = {share: waits[len(waits) * share // 100] * 1000 for share in SHARES}
    return Pace(len(waits), len(waits) / spent, shares)


def ask_once(port: int, request: bytes) -> dict[str, str]:
    """Ask once and return the answer's document."""

    async def ask() -> bytes:
        line = await Line().open(port)
        answer = await line.ask(request)
        line.close()
        return answer

    document: dict[str, str] = json.loads(asyncio.run(ask()))
    return document


def wait_until(port: int, is_so: Callable[[dict[str, object]], bool], path: str) -> None:
    """Ask a path until its answer is as wanted."""

    async def look() -> None:
        line = await Line().open(port)
        while not is_so(json.loads(await line.ask(get(path)))):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
        line.close()

    asyncio.run(look())
