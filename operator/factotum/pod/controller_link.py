"""Requests to the controller: HTTP over TLS, on a line that is kept for the next one.

A server on this machine, which takes the controller's place, is asked over a socket
that is a file (``unix:/path``).

By hand, because importing ``http.client`` takes longer than the claim
itself, and each job's first task waits for both. Every answer but the
controller's own word counts as "not reachable": what that means, the caller
knows.
"""

from __future__ import annotations

from time import monotonic

from factotum.core import jsontext
from factotum.core.errors import FactotumError
from factotum.pod.line import Line, LocalLine, Trust
from factotum.pod.surroundings import LOCAL_SCHEME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from factotum.pod.surroundings import Surroundings

_MAX_ANSWER = 16 * 1024 * 1024
"""A factfile of a ConfigMap is at most 1 MiB, escaped maybe six times that."""
_SCHEME = "https://"
_PORT = 443


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
    """Where the controller is, and what says who we are.

    Safe in any thread: who finds the kept line taken opens another one and waits for nobody.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._local = ""
        self._kept: list[Line | LocalLine] = []
        self._token_file = surroundings.token_file
        if surroundings.is_local:
            self._local = surroundings.operator_url.removeprefix(LOCAL_SCHEME)
            self._authority, self._prefix = "localhost", ""
            return
        authority, _, path = surroundings.operator_url.removeprefix(_SCHEME).partition("/")
        host, separator, port = authority.rpartition(":")
        self._authority = authority
        self._address = (host, int(port)) if separator else (authority, _PORT)
        self._trust = Trust(surroundings.operator_ca, self._address[0])
        self._prefix = f"/{path}" if path else ""

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
            request = self._request(path, body)
            deadline = monotonic() + seconds
            line = self._line(deadline)
            while True:
                is_fresh = line.is_fresh
                received = bytearray()
                try:
                    return self._ask(line, request, received, deadline, meanwhile)
                except OSError:
                    # The other side may have ended a kept line before it heard this, and what
                    # is asked here may be asked twice: a claim and a report have their numbers.
                    if is_fresh or received or monotonic() >= deadline:
                        raise
                line = self._open(deadline)
        except (OSError, ValueError) as exc:
            msg = f"{self._local or self._authority}: {str(exc) or type(exc).__name__}"
            raise UnreachableError(msg) from exc

    def close(self) -> None:
        """Hang up; whoever asks again opens another line."""
        while self._kept:
            self._kept.pop().close()

    def _line(self, deadline: float) -> Line | LocalLine:
        try:
            return self._kept.pop()
        except IndexError:
            return self._open(deadline)

    def _open(self, deadline: float) -> Line | LocalLine:
        if self._local:
            return LocalLine(self._local, deadline)
        return Line(self._address, self._trust, deadline)

    def _request(self, path: str, body: bytes) -> bytes:
        # The kubelet renews the token, so it is read each time.
        with open(self._token_file, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs start-up
            token = file.read().strip()
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\n"
            f"Host: {self._authority}\r\n"
            f"Authorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body

    def _ask(
        self,
        line: Line | LocalLine,
        request: bytes,
        received: bytearray,
        deadline: float,
        meanwhile: Callable[[], None] | None,
    ) -> Reply:
        """Ask on a line, and keep it if the answer left it whole."""
        is_whole = False
        try:
            line.send(request, deadline)
            if meanwhile is not None:
                meanwhile()
            while not (is_whole := _is_whole(received)):
                chunk = line.receive(deadline)
                if not chunk:
                    break
                received += chunk
            if not received:
                raise ConnectionError("the line was closed without an answer")
            return _parse(bytes(received))
        finally:
            if is_whole and not self._kept:
                self._kept.append(line)
            else:
                line.close()


def _is_whole(received: bytearray) -> bool:
    """Whether an answer has come whole; one that does not tell its length ends with its line.

    Raises:
        ValueError: it is too long to be one.
    """
    if len(received) > _MAX_ANSWER:
        raise ValueError("the answer does not end")
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(received[:end]).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found or b"\r\nconnection: close" in head:
        return False
    return len(received) == end + 4 + int(rest.partition(b"\r\n")[0])


def _parse(received: bytes) -> Reply:
    """Read an answer; one that was cut short is none, for its JSON does not end."""
    head, _, payload = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise ValueError("the answer is not HTTP")
    body = jsontext.parse(payload.decode())
    return Reply(int(status), body if isinstance(body, dict) else {})
