"""Clients that ask without a pause, each on a line of its own, and how long they wait."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Pace(NamedTuple):
    """How fast answers came."""

    count: int
    a_second: float
    median_ms: float
    p99_ms: float


def get(path: str) -> bytes:
    """Return a request's bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, document: object) -> bytes:
    """Return a request's bytes."""
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
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
        return await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def ask_all(port: int, clients: int, requests: Iterator[bytes], seconds: float) -> Pace:
    """Have clients ask until there is nothing left to ask, or the time is over."""
    return asyncio.run(_ask_all(port, clients, requests, seconds))


async def _ask_all(port: int, clients: int, requests: Iterator[bytes], seconds: float) -> Pace:
    waits: list[float] = []
    lines = [await Line().open(port) for _ in range(clients)]
    began = time.perf_counter()

    async def client(line: Line) -> None:
        for request in requests:
            asked = time.perf_counter()
            if asked - began > seconds:
                return
            await line.ask(request)
            waits.append(time.perf_counter() - asked)

    await asyncio.gather(*map(client, lines))
    spent = time.perf_counter() - began
    for line in lines:
        line.close()
    waits.sort()
    middle, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    return Pace(len(waits), len(waits) / spent, middle * 1000, late * 1000)


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
