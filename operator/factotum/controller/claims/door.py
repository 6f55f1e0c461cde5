"""The listening socket of claims: how many may stand there, and for how long.

Anybody in the cluster can connect. A connection that has not shown a Pod's
token in time is closed, whatever it is doing: sending nothing, a head or a
body drop by drop. When all places are taken, the oldest of those makes room:
a Pod that has shown its token is never put out by one that has not.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

_MAX_PLACES: Final = 8192
_SPARE_DESCRIPTORS: Final = 256
_UNPROVED_SECONDS: Final = 30.0
"""How long a connection may take to show a token."""
_IDLE_SECONDS: Final = 120.0
"""How long one that showed a token may be silent; runners report every ten seconds."""
_PLACES_OF_A_POD: Final = 8
_ROUND_SECONDS: Final = 5.0
_BACKLOG: Final = 1024


@dataclass(slots=True)
class _Visit:
    since: float
    pod: str = ""


class Door:
    """Lets connections in and puts them out.

    Args:
        places: connections at once; None: as many as descriptors allow.
        unproved_seconds: how long one may take to show a token.
    """

    def __init__(
        self, *, places: int | None = None, unproved_seconds: float = _UNPROVED_SECONDS
    ) -> None:
        self._places = _places() if places is None else places
        self._unproved_seconds = unproved_seconds
        self._visits: dict[asyncio.BaseTransport, _Visit] = {}
        self._server: asyncio.Server | None = None
        self._rounds: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many connections stand here."""
        return len(self._visits)

    async def open(self, handlers: Callable[[], asyncio.Protocol], host: str, port: int) -> None:
        """Listen; each connection gets a handler."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Guarded(handlers(), self), host, port, backlog=_BACKLOG, reuse_address=True
        )
        self._rounds = loop.create_task(self._go_round(), name="door")

    @property
    def places(self) -> int:
        """How many connections may stand here at once."""
        return self._places

    def failure(self) -> str | None:
        """Return why nobody is put out any more, if that is so."""
        rounds = self._rounds
        return "a port is not guarded any more" if rounds is not None and rounds.done() else None

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)

    def enter(self, transport: asyncio.Transport) -> None:
        """Take in a connection, in another one's place if there is none left."""
        if len(self._visits) >= self._places:
            # Insertion order is by age.
            oldest = next((t for t, v in self._visits.items() if not v.pod), None)
            self._put_out(oldest if oldest is not None else transport)
            if oldest is None:
                return
        self._visits[transport] = _Visit(asyncio.get_running_loop().time())

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that has ended."""
        self._visits.pop(transport, None)

    def proved(self, transport: asyncio.BaseTransport | None, pod_uid: str) -> None:
        """Note that a connection has shown a Pod's token."""
        visit = self._visits.get(transport) if transport is not None else None
        if visit is None or transport is None:
            return
        visit.since = asyncio.get_running_loop().time()
        if visit.pod != pod_uid:
            visit.pod = pod_uid
            others = [t for t, v in self._visits.items() if v.pod == pod_uid and t is not transport]
            # A runner needs two. One Pod's token must not open all places.
            for other in others[: max(0, len(others) + 1 - _PLACES_OF_A_POD)]:
                self._put_out(other)

    def _put_out(self, transport: asyncio.BaseTransport) -> None:
        self._visits.pop(transport, None)
        if isinstance(transport, asyncio.Transport):
            transport.abort()

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(min(_ROUND_SECONDS, self._unproved_seconds))
            now = asyncio.get_running_loop().time()
            late = [
                t for t, visit in self._visits.items() if now - visit.since > self._limit(visit)
            ]
            for transport in late:
                self._put_out(transport)
            if late:
                logger.info("%d connections were closed that had nothing to say", len(late))

    def _limit(self, visit: _Visit) -> float:
        return _IDLE_SECONDS if visit.pod else self._unproved_seconds


class _Guarded(asyncio.Protocol):
    """Passes everything on to a handler, and tells the door of coming and going."""

    def __init__(self, handler: asyncio.Protocol, door: Door) -> None:
        self._handler = handler
        self._door = door
        self._transport: asyncio.BaseTransport | None = None
        self.data_received = handler.data_received  # type: ignore[method-assign] # the hot path
        self.pause_writing = handler.pause_writing  # type: ignore[method-assign]
        self.resume_writing = handler.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in."""
        self._transport = transport
        self._handler.connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            self._door.enter(transport)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the connection go."""
        if self._transport is not None:
            self._door.leave(self._transport)
        self._handler.connection_lost(exc)


def _places() -> int:
    """Return how many connections the process has descriptors for, having asked for all it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_PLACES + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY:
        return _MAX_PLACES
    return max(1, min(_MAX_PLACES, soft - _SPARE_DESCRIPTORS))
