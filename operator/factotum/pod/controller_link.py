"""Requests to the controller, each on a connection of its own.

On a bare socket, because importing ``http.client`` takes longer than the claim
itself, and each job's first task waits for both. Every answer but the
controller's own word counts as "not reachable": what that means, the caller
knows.
"""

from __future__ import annotations

import _socket  # the C part of socket: the module itself imports enum and selectors
from time import monotonic

from factotum.core import jsontext
from factotum.core.errors import FactotumError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from factotum.pod.surroundings import Surroundings

_CHUNK = 64 * 1024
_MAX_ANSWER = 16 * 1024 * 1024
"""A factfile of a ConfigMap is at most 1 MiB, escaped maybe six times that."""
_SCHEME = "http://"


class UnreachableError(FactotumError):
    """No answer; the text says why."""


class Reply:
    """An HTTP answer of the controller."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body

    @property
    def message(self) -> str:
        """The reason that a refusal gives."""
        return str(self.body.get("error", ""))


class ControllerLink:
    """Where the controller is, and what says who we are. Safe in any thread."""

    def __init__(self, surroundings: Surroundings) -> None:
        authority, _, path = surroundings.operator_url.removeprefix(_SCHEME).partition("/")
        host, separator, port = authority.rpartition(":")
        self._authority = authority
        self._address = (host, int(port)) if separator else (authority, 80)
        self._prefix = f"/{path}" if path else ""
        self._token_file = surroundings.token_file

    def post(
        self,
        path: str,
        body: bytes,
        *,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request and wait so long for its answer.

        Args:
            path: below the controller's URL.
            body: JSON.
            seconds: how long to wait.
            meanwhile: called between sending and waiting.

        Raises:
            UnreachableError: there was none, or not of the controller.
        """
        try:
            return self._post(path, body, monotonic() + seconds, meanwhile)
        except (OSError, ValueError) as exc:
            msg = f"{self._authority}: {str(exc) or type(exc).__name__}"
            raise UnreachableError(msg) from exc

    def _post(
        self, path: str, body: bytes, deadline: float, meanwhile: Callable[[], None] | None
    ) -> Reply:
        # The kubelet renews the token, so it is read each time.
        with open(self._token_file, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs start-up
            token = file.read().strip()
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\n"
            f"Host: {self._authority}\r\n"
            f"Authorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        connection = _connect(self._address, deadline)
        try:
            connection.sendall(head.encode("ascii") + body)
            if meanwhile is not None:
                meanwhile()
            received = bytearray()
            while len(received) < _MAX_ANSWER:
                connection.settimeout(_left(deadline))
                chunk = connection.recv(_CHUNK)
                if not chunk:
                    return _parse(bytes(received))
                received += chunk
        finally:
            connection.close()
        msg = "the answer does not end"
        raise ValueError(msg)


def _connect(address: tuple[str, int], deadline: float) -> _socket.socket:
    failure: OSError = ConnectionError("the name resolves to no address")
    host, port = address
    # As bytes: a name given as text is put through the codec for names of all
    # scripts first, and importing that takes as long as asking the controller.
    for family, kind, protocol, _, target in _socket.getaddrinfo(
        host.encode("ascii"), port, 0, _socket.SOCK_STREAM
    ):
        connection = _socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(target)
        except OSError as exc:
            connection.close()
            failure = exc
        else:
            return connection
    raise failure


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _parse(received: bytes) -> Reply:
    """Read an answer; one that was cut short is none, for its JSON does not end."""
    head, _, payload = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise ValueError("the answer is not HTTP")
    body = jsontext.parse(payload.decode())
    return Reply(int(status), body if isinstance(body, dict) else {})
