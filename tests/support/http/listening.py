"""A server of a test's own, on an event loop in a thread: it listens as long as it is used."""

import asyncio
import ssl
import threading
from typing import Self


class Listening:
    """Listens on a free port of this machine while it is used as a context manager."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=1 << 24, backlog=256, ssl=self._shown()
        )
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _shown(self) -> ssl.SSLContext | None:
        """Return the context of a server that speaks TLS."""
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what is to be done with one connection."""
        raise NotImplementedError

    async def _end(self) -> None:
        self._server.close()
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
