"""Claims and reports that came to a replica which does not lead: passed on to the one that does.

Each on a connection of its own, which so belongs to the one Pod whose token it
shows: the leader's door counts it as that Pod's. One hop and no more: what
was passed on is marked, and only a leader takes it. An answer counts only if
it proves that its sender is the process which holds the Lease: it knows the
random word in the holder's name, which is told nowhere else.
"""

import asyncio
import hmac
import logging
import os
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import aiohttp
import yarl

from factotum.core.errors import FactotumError

logger = logging.getLogger(__name__)

MARK: Final = "Factotum-Passed-On"
"""Header of a request that was passed on: a random word, new each time."""
PROOF: Final = "Factotum-Leader"
"""Header of its answer: what only the leader can make of that word."""
_AT_ONCE: Final = 256
_MOST: Final = 2000
_SECONDS: Final = 9.0
"""Less than a runner waits for the answer to its claim."""
_CONNECT_SECONDS: Final = 2.0
_MAX_ANSWER: Final = 16 * 1024 * 1024
"""As much as a runner reads."""


class Known(Protocol):
    """Another replica, which leads as far as is known."""

    @property
    def holder(self) -> str:
        """How that process is named in the Lease."""

    @property
    def address(self) -> str:
        """HOST:PORT of its claims port."""


class Passed(NamedTuple):
    """The leader's answer."""

    status: int
    body: bytes


class NoLeaderError(FactotumError):
    """No leader is known, or it did not answer: the runner is to ask again."""


class PassingOn:
    """Asks the leader in a Pod's stead.

    Args:
        leader: who leads; None while nobody is known to.
        tls: how to speak to its port; None: in the clear.
        server_name: the name in its certificate, which its address is not.
        seconds: how long an answer may take.
        most: how many requests may be under way or wait for their turn.
    """

    def __init__(
        self,
        leader: Callable[[], Known | None],
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        seconds: float = _SECONDS,
        most: int = _MOST,
    ) -> None:
        self._leader = leader
        self._tls = tls
        self._server_name = server_name
        self._seconds = seconds
        self._most = most
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._under_way = 0

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def post(self, path: str, body: bytes, token: str) -> Passed:
        """Pass a request on, with its Pod's own token.

        Args:
            path: built by us, from checked parts.

        Raises:
            NoLeaderError: there is no answer of the leader.
        """
        if self._under_way >= self._most:
            raise NoLeaderError("too many requests are being passed on")
        self._under_way += 1
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                leader = self._leader()
                if leader is None:
                    raise NoLeaderError("no replica leads now")
                return await self._ask(leader, path, body, token)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            # What went wrong inside is for the log, not for Pods.
            logger.warning("the leader cannot be asked: %s", str(exc) or type(exc).__name__)
            raise NoLeaderError("the leader cannot be asked now") from exc
        finally:
            self._under_way -= 1

    async def _ask(self, leader: Known, path: str, body: bytes, token: str) -> Passed:
        word = os.urandom(16).hex()
        scheme = "http" if self._tls is None else "https"
        async with self._connected().post(
            yarl.URL(f"{scheme}://{_authority(leader.address)}{path}", encoded=True),
            data=body,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                MARK: word,
            },
            allow_redirects=False,
            ssl=True if self._tls is None else self._tls,
            server_hostname=self._server_name,
        ) as response:
            told = response.headers.get(PROOF, "").encode("utf-8", "replace")
            if not hmac.compare_digest(told, proof(leader.holder, word).encode()):
                raise NoLeaderError("the leader is not at its address any more")
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _MAX_ANSWER:
                    raise NoLeaderError("the leader's answer does not end")
            return Passed(response.status, bytes(answer))

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_AT_ONCE, force_close=True),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=_CONNECT_SECONDS),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
            )
        return self._session


def proof(holder: str, word: str) -> str:
    """Return what shows that whoever answers is the process of that name in the Lease."""
    return hmac.digest(holder.encode(), word.encode("utf-8", "replace"), "sha256").hex()


def _authority(address: str) -> str:
    """Return an address as it stands in a URL; one of IPv6 has its colons in brackets there.

    Raises:
        ValueError: it is none.
    """
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not port.isdecimal() or not host or set(host) & set("/?#@\\ \r\n"):
        raise ValueError(f"{address!r:.80} is no address of a leader")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
