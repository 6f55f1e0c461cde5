"""A Service for operators that are processes: one address for several ports, as kube-proxy has it.

It knows no HTTP. Each connection goes to one that listens, in turn; what was connected stays.
"""

import asyncio
import itertools
from contextlib import suppress

from support.http.listening import Listening


class Service(Listening):
    """Leads each connection to the next of its backends that takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.backends: list[tuple[str, int]] = []
        self._turns = itertools.count()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

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
