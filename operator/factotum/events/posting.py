"""Make one HTTP request: POST a body to an endpoint and say what came of it.

A client of its own on a bare socket, for three reasons. The consumer must see exactly
the three headers of the original. The answer counts as soon as its headers are there,
within one time limit for all of them, which ``http.client`` cannot give: its time-out
starts anew with every byte. And ``http.client`` costs 35 ms and more to import here (it
brings the e-mail package), ``socket`` a third of that and ``ssl`` is only wanted for
https. Redirects are not followed and proxies not asked: neither is, on purpose.
"""

from __future__ import annotations

import errno
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from factotum.events.urls import Endpoint

CONTENT_TYPE = "application/json; charset=utf-8"

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MOST_HEADER_BYTES = 64 * 1024
_CHUNK = 16 * 1024


class Answer:
    """What a request came to.

    Attributes:
        status: the HTTP status, 0 if the transport failed.
        reason: the status line's text, or what failed.
        is_shortage: this machine had no descriptor or memory; it says nothing of the consumer.
    """

    __slots__ = ("is_shortage", "reason", "status")

    def __init__(self, status: int, reason: str, *, is_shortage: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.is_shortage = is_shortage


class Poster:
    """Posts bodies to one endpoint, each on a connection of its own.

    Made and used by one thread; only `abort` may be called by another.
    """

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._aborted = False

    def post(self, body: bytes, connected: Callable[[], None]) -> Answer:
        """Send the body and return the answer; no error gets out.

        Args:
            body: of the request.
            connected: called when no further descriptor will be needed.
        """
        try:
            return self._exchange(body, connected)
        except TimeoutError:
            return Answer(0, f"no answer within {self._timeout:g} s")
        except OSError as error:  # includes resolver and TLS errors
            return Answer(0, _describe(error), is_shortage=error.errno in _SHORTAGES)
        except ValueError as error:  # a name that TLS cannot ask for: a label too long, or none
            return Answer(0, str(error))

    def abort(self) -> None:
        """Let a request under way fail at once, and all later ones."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # not connected yet, or closed in this moment: the flag does the rest

    def _exchange(self, body: bytes, connected: Callable[[], None]) -> Answer:
        connection = self._connect(time.monotonic() + self._timeout)
        try:
            connected()
            connection.settimeout(self._timeout)
            connection.sendall(self._head(len(body)))
            connection.sendall(body)
            answer_by = time.monotonic() + self._timeout
            return _read_status(lambda: _receive(connection, answer_by))
        finally:
            self._socket = None
            connection.close()

    def _connect(self, deadline: float) -> socket.socket:
        endpoint = self._endpoint
        # The resolver has time limits of its own, from resolv.conf.
        host = endpoint.host.encode("ascii")  # as text it would bring in a codec first
        found = socket.getaddrinfo(host, endpoint.port, type=socket.SOCK_STREAM)
        failure: OSError = ConnectionError("the name resolves to no address")
        for family, kind, protocol, _, address in found:
            try:
                return self._connect_to(socket.socket(family, kind, protocol), address, deadline)
            except OSError as error:
                failure = error
        raise failure

    def _connect_to(self, plain: socket.socket, address: Any, deadline: float) -> socket.socket:
        self._socket = plain
        try:
            _wait_until(plain, 0.0 if self._aborted else deadline)
            plain.connect(address)
            # Head and body are two writes: do not wait for the first one's acknowledgement.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secure(plain, deadline) if self._endpoint.scheme == "https" else plain
        except BaseException:
            self._socket.close()
            self._socket = None
            raise

    def _secure(self, plain: socket.socket, deadline: float) -> socket.socket:
        import ssl

        if self._tls is None:
            self._tls = ssl.create_default_context()  # the system's trust store
        # The handshake comes after the assignment, so that `abort` reaches it.
        self._socket = secured = self._tls.wrap_socket(
            plain, server_hostname=self._endpoint.host, do_handshake_on_connect=False
        )
        _wait_until(secured, deadline)
        secured.do_handshake()
        return secured

    def _head(self, length: int) -> bytes:
        lines = (
            f"POST {self._endpoint.target} HTTP/1.1",
            f"Host: {self._endpoint.host_header}",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {length}",
            "\r\n",
        )
        return "\r\n".join(lines).encode("ascii")


def _wait_until(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _receive(connection: socket.socket, deadline: float) -> bytes:
    _wait_until(connection, deadline)
    return connection.recv(_CHUNK)


def _read_status(receive: Callable[[], bytes]) -> Answer:
    """Read until the end of the headers of the final answer; the body is nobody's business."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received and b"\n\n" not in received:
            if not received.startswith(b"HTTP/1."[: len(received)]):
                return Answer(0, "the answer is not HTTP/1")
            if len(received) > _MOST_HEADER_BYTES:
                return Answer(0, "the answer's headers do not end")
            chunk = receive()
            if not chunk:
                return Answer(0, "the connection was closed without an answer")
            received += chunk
        answer = _parse_status_line(received)
        if not 100 <= answer.status < 200 or answer.status == 101:
            return answer
        received = received.partition(b"\r\n\r\n")[2]  # an interim answer: the next one counts


def _parse_status_line(received: bytes) -> Answer:
    line = received.partition(b"\n")[0].rstrip(b"\r").decode("latin-1")
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or len(status) != 3 or not status.isdecimal():
        return Answer(0, "the answer is not HTTP/1")
    return Answer(int(status), reason)


def _describe(error: OSError) -> str:
    """Return the error in the form of the original: ``Connection refused (os error 111)``."""
    if isinstance(error, socket.gaierror):
        return f"failed to lookup address information: {error.strerror}"
    if error.errno is None or error.strerror is None or hasattr(error, "library"):  # TLS has one
        return str(error) or type(error).__name__
    return f"{error.strerror} (os error {error.errno})"
