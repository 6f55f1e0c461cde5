"""A Service for operators that are processes: one address for several ports, as kube-proxy has it.

It knows no HTTP. Each connection goes to one that listens, in turn; what was connected stays.
"""

import asyncio
import itertools
import threading
from contextlib import suppress
from typing import Self


class Service:
    """Leads each connection to the next of its backends that takes it."""

    def __init__(self) -> None:
        self.backends: list[tuple[str, int]] = []
        self.port = 0
        self._turns = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(self._turns)
        for number in range(len(self.backends)):
            backend = self.backends[(first + number) % len(self.backends)]
            with suppress(OSError):
                behind, before = await asyncio.open_connection(*backend)
                async with asyncio.TaskGroup() as both:
                    both.create_task(_carry(reader, before))
                    both.create_task(_carry(behind, writer))
                return
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()
    except OSError:
        writer.close()
