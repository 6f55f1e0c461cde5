"""Who may ask for what is ours, how often and how much: before anything is routed.

Against pages of other sites: the name by which we are called must be ours (DNS
rebinding), what changes something must not come from another origin (CSRF).
"""

import functools
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from factotum.core.errors import FactotumError
from factotum.gateway.access import routes
from factotum.gateway.access.protocol import Denial
from factotum.gateway.original.requests import (
    Application,
    Guard,
    Receive,
    Scope,
    Send,
    headers_of,
    skip,
)

_LOCAL: Final = frozenset({"localhost", "localhost.localdomain"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CLIENTS: Final = 4096
_DRAIN_SECONDS: Final = 2.0
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d*)?", re.ASCII)
MAY_STAY: Final = "factotum.may_stay"
"""In a request's scope: who answers for long asks it whether the caller still may be answered."""
MAX_BODY_BYTES: Final = 9 * 1024 * 1024
"""A factfile of 8 million characters, and what is around it."""


class Refusal(FactotumError):  # noqa: N818 - it is an answer
    """A request is not let in.

    Attributes:
        status: HTTP's.
        detail: why.
        headers: further ones.
        lacks_right: whether the caller is known and has not the right.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        lacks_right: bool = False,
    ) -> None:
        super().__init__(detail)
        self.lacks_right = lacks_right
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


@dataclass(slots=True)
class _Bucket:
    """How many requests a client may make at once, and since when it gets new ones."""

    left: float
    since: float


class Rates:
    """So many requests a second for each client, twice as many at once.

    Args:
        rate: requests a second, at least 1.
        clock: seconds that never go back.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str) -> float:
        """Count a request; return after how many seconds it may be made, 0: now."""
        now = self._clock()
        most = 2.0 * self._rate
        bucket = self._buckets.pop(client, None) or _Bucket(most, now)
        bucket.left = min(most, bucket.left + (now - bucket.since) * self._rate)
        bucket.since = now
        # The one that was longest not heard of makes room.
        while len(self._buckets) >= _CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[client] = bucket
        if bucket.left < 1:
            return (1 - bucket.left) / self._rate
        bucket.left -= 1
        return 0.0


class Doorkeeper:
    """Lets requests in to an application, or answers them itself.

    Args:
        application: what is behind the door.
        guard: knows the token.
        refuse: makes the answer to who is not let in.
        hosts: names of this server, beside its addresses and this machine's own.
        rates: how often each client may ask; shared by all doors.
        is_open: whether anybody may see it who can reach the server.
    """

    def __init__(
        self,
        application: Application,
        guard: Guard,
        refuse: Callable[[Refusal], Application],
        *,
        hosts: frozenset[str],
        rates: Rates,
        is_open: bool = False,
    ) -> None:
        self._application = application
        self._guard = guard
        self._refuse = refuse
        self._hosts = _LOCAL | hosts
        self._rates = rates
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = _Body(receive)
        try:
            await self._check(scope)
            if scope["method"] not in _SAFE:
                await body.read()
        except Refusal as refusal:
            # What is left unread would be the next request's beginning, so there is none. Some of
            # it is read all the same: who still sends when we hang up never sees the answer.
            refusal.headers["Connection"] = "close"
            if "expect" not in headers_of(scope):
                await body.drain()
            await self._refuse(refusal)(scope, receive, send)
            return
        scope[MAY_STAY] = functools.partial(self._may_stay, scope)
        await self._application(scope, body.again, send)

    async def _check(self, scope: Scope) -> None:
        headers = headers_of(scope)
        wait = self._rates.take(scope["client"][0] if scope.get("client") else "")
        if wait:
            text = "this client asks more often than it may"
            raise Refusal(429, text, {"Retry-After": str(int(wait) + 1)})
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:
            raise Refusal(400, "there is more than one Host")
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refusal(421, f"{host[:100]!r} is no name of this server")
        if scope["method"] not in _SAFE:
            _check_origin(headers, host)
        if not self._is_open:
            denial = await self._denial(scope)
            if denial is not None:
                more = {name.decode(): value.decode() for name, value in denial.headers}
                raise Refusal(denial.status, denial.text, more, lacks_right=denial.status == 403)
        length = headers.get("content-length", "")
        if length.isascii() and length.isdecimal() and int(length[:18]) > MAX_BODY_BYTES:
            raise Refusal(413, f"more than {MAX_BODY_BYTES} bytes")

    async def _denial(self, scope: Scope) -> Denial | None:
        deed = routes.deed_of(scope["method"], scope["path"])
        return await self._guard.denial(headers_of(scope), deed)

    async def _may_stay(self, scope: Scope) -> bool:
        """Whether who was let in would be again; while nobody can say, he stays."""
        denial = None if self._is_open else await self._denial(scope)
        return denial is None or denial.status == 503

    def _is_ours(self, host: str) -> bool:
        """Whether a Host is a name of ours: an address cannot be another site's name."""
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1] or found[2]
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _check_origin(headers: Mapping[str, str], host: str) -> None:
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (
        f"http://{host.lower()}",
        f"https://{host.lower()}",
    ):
        raise Refusal(403, f"pages of {origin[:100]!r} may not do this")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(403, "pages of other sites may not do this")


class _Body:
    """A request's body, read whole before anybody works for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts: list[bytes] = []
        self._is_whole = False
        self._is_given = False

    async def read(self) -> None:
        size = 0
        while not self._is_whole:
            event = await self._receive()
            if event["type"] != "http.request":
                raise Refusal(400, "hung up")
            part: bytes = event.get("body", b"")
            size += len(part)
            self._is_whole = not event.get("more_body", False)
            if size > MAX_BODY_BYTES:
                self._parts.clear()
                raise Refusal(413, f"more than {MAX_BODY_BYTES} bytes")
            self._parts.append(part)

    async def drain(self) -> None:
        """Read what is left of a body that nobody wants, as far as that is worth it."""
        if not self._is_whole:
            await skip(self._receive, at_most=MAX_BODY_BYTES, seconds=_DRAIN_SECONDS)

    async def again(self) -> MutableMapping[str, Any]:
        """Be the ASGI ``receive`` of who works for it."""
        if self._is_whole and not self._is_given:
            self._is_given = True
            return {"type": "http.request", "body": b"".join(self._parts), "more_body": False}
        return await self._receive()
