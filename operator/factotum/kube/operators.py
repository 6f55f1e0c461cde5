"""The operator's health port, asked whether it would take one more job."""

import asyncio
import socket
from typing import Final

import aiohttp

from factotum.core.wire import submissions

_LOOK_UP_SECONDS: Final = 0.4
_ASK_SECONDS: Final = 0.6
_MAX_ANSWER: Final = 4096


class Operators:
    """All replicas of the operator behind one name.

    Args:
        host: a name that stands for all of them, or an address.
        port: their health port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def refusals(self) -> list[str]:
        """Return what each replica says; empty: it takes a job. Takes a second at most."""
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM
                )
        except (TimeoutError, OSError):
            return []
        # Each has its own time, so that one that hangs takes nobody else's answer away.
        answers = await asyncio.gather(*map(self._ask, {str(each[4][0]) for each in found}))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, address: str) -> str | None:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{self._port}{submissions.PATH}"
        try:
            timeout = aiohttp.ClientTimeout(total=_ASK_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                text = (await response.content.read(_MAX_ANSWER)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        if response.status == 200:
            return ""
        return text.strip() if response.status == 503 else None
