"""Reading requests: their bodies within bounds, and who may ask at all."""

import asyncio
import contextlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from factotum.core.errors import FactotumError
from factotum.gateway.access.protocol import UNKNOWN, Access, Deed, Denial, bearer_token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES: Final = 104_857_599
_LARGE_BYTES: Final = 1024 * 1024
_LARGE_AT_ONCE: Final = 2
_TYPE: Final = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(;.*)?")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class TooLargeError(FactotumError):
    """The body is larger than the original takes."""


class GoneError(FactotumError):
    """Whoever asked has hung up."""


def headers_of(scope: Scope) -> Mapping[str, str]:
    """Return a request's headers; of a repeated one the last counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def declares_type(headers: Mapping[str, str]) -> bool:
    """Whether a body is announced as something that the original reads."""
    kind = headers.get("content-type", "")
    return bool(_TYPE.fullmatch(kind)) and not kind.strip().lower().startswith(
        "multipart/form-data"
    )


def is_ambiguous(scope: Scope) -> bool:
    """Whether a request's length may be read in two ways, by us and by a proxy before us."""
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and b"content-length" in names


async def skip(receive: Receive, *, at_most: int, seconds: float) -> bool:
    """Read what is left of a body that nobody wants, and forget it.

    What is left unread would be the next request's beginning; and who still sends when we
    hang up never sees the answer.

    Args:
        at_most: bytes.
        seconds: how long.

    Returns:
        Whether the body's end was reached; if not, the connection must not be used again.
    """
    left = at_most
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0:
                event = await receive()
                if event["type"] != "http.request":
                    return False
                if not event.get("more_body", False):
                    return True
                left -= len(event.get("body", b"")) + 1
    return False


class Bodies:
    """Reads bodies; few large ones at once, for each is held in memory."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def read(self, receive: Receive) -> bytes:
        """Return a request's body, all of it.

        Raises:
            TooLargeError: it is too large; the rest was read and forgotten.
            GoneError: nobody is there any more.
        """
        parts: list[bytes] = []
        size = 0
        is_large = False
        try:
            while True:
                event = await receive()
                if event["type"] != "http.request":
                    raise GoneError("hung up")
                part: bytes = event.get("body", b"")
                size += len(part)
                if size <= MAX_BODY_BYTES:
                    parts.append(part)
                else:
                    parts.clear()
                if not event.get("more_body", False):
                    break
                if size > _LARGE_BYTES and not is_large:
                    await self._large.acquire()
                    is_large = True
        finally:
            if is_large:
                self._large.release()
        if size > MAX_BODY_BYTES:
            raise TooLargeError("Body is too big")
        return b"".join(parts)


class Guard:
    """Says who may ask.

    Args:
        token: what callers must show; empty: nothing.
        access: decides in place of the token.
    """

    def __init__(
        self,
        token: str = "",
        access: Access | None = None,
    ) -> None:
        self._token = token.encode()
        self._access = access

    @property
    def wants_token(self) -> bool:
        """Whether callers must show a token."""
        return self._access is not None or bool(self._token)

    async def denial(self, headers: Mapping[str, str], deed: Deed) -> Denial | None:
        """Return why a caller may not do something; None: he may."""
        if self._access is not None:
            return await self._access.denial(headers, deed)
        if self.is_known(headers):
            return None
        return UNKNOWN

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether a caller shows the token; nobody does where somebody else decides."""
        if self._access is not None:
            return False
        if not self._token:
            return True
        shown = bearer_token(headers).encode("utf-8", "replace")
        return hmac.compare_digest(shown, self._token)

    def is_foreign_page(self, headers: Mapping[str, str]) -> bool:
        """Whether a page of somewhere else has a browser ask: scripts send no Origin."""
        origin = headers.get("origin")
        if origin is None:
            return False
        authority = origin.partition("://")[2].lower()
        host = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
        return host not in _LOCAL
