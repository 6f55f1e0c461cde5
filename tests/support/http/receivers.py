"""A webhook consumer for tests: a real HTTP server that answers as it is told.

It reads requests byte by byte from the socket instead of using http.server, because
tests compare what was really sent (order and spelling of headers included) and need
answers that no well-behaved server gives: dropped, cut short, late, never.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self


class Request(NamedTuple):
    """One request as it came over the wire."""

    at: float
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


class Reply(NamedTuple):
    """How to answer: raw bytes after a delay, or nothing at all."""

    raw: bytes = b""
    delay: float = 0.0
    hang: bool = False  # keep the connection open without an answer


def reply(
    status: int, headers: Mapping[str, str] | None = None, body: str = "", delay: float = 0.0
) -> Reply:
    content = b"" if status in (204, 304) else body.encode()
    lines = [f"HTTP/1.1 {status} Status"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(content)}")
    lines += ["Connection: close", "", ""]
    return Reply("\r\n".join(lines).encode() + content, delay)


DROP = Reply()
HANG = Reply(hang=True)

Answers = Callable[[int, Request], Reply]


def in_turn(replies: Sequence[int | Reply]) -> Answers:
    """Answer the n-th request with the n-th reply, later ones with the last."""
    ready = [reply(each) if isinstance(each, int) else each for each in replies]
    return lambda index, _: ready[min(index, len(ready) - 1)]


class Receiver:
    """Listens on a port (of this machine's loop) while used as a context manager.

    Without a number it is a free one.
    """

    def __init__(
        self,
        answers: Answers | Sequence[int | Reply] = (200,),
        *,
        tls: ssl.SSLContext | None = None,
        family: socket.AddressFamily = socket.AF_INET,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._answers = answers if callable(answers) else in_turn(answers)
        self._tls = tls
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self.requests: list[Request] = []
        self.connections = 0
        self._listener = socket.create_server(
            ("::1" if family == socket.AF_INET6 else host, port), family=family, backlog=256
        )
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
            for connection in self._open:
                _shut(connection)
        _shut(self._listener)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Request]:
        """Wait until that many requests have come, and return them all."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.requests) >= count, seconds):
                raise AssertionError(f"{len(self.requests)} of {count} requests came")
            return list(self.requests)

    def settle(self, seconds: float = 5.0) -> None:
        """Wait until no connection is open any more."""
        with self._lock:
            if not self._lock.wait_for(lambda: not self._open, seconds):
                raise AssertionError(f"{len(self._open)} connections are still open")

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            connection.settimeout(30)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            request = _read_request(connection)
            if request is not None:
                self._answer(connection, request)
        except OSError:
            pass  # the sender went away, which is its right
        finally:
            connection.close()
            with self._lock:
                self._open.discard(plain)
                self._lock.notify_all()

    def _answer(self, connection: socket.socket, request: Request) -> None:
        with self._lock:
            index = len(self.requests)
            self.requests.append(request)
            self._lock.notify_all()
            chosen = self._answers(index, request)
            if chosen.delay:
                self._lock.wait_for(lambda: self._stopping, chosen.delay)
        if chosen.hang:
            connection.settimeout(None)
            connection.recv(1)  # until one of us closes the connection
        if chosen.raw:
            connection.sendall(chosen.raw)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _read_request(connection: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        received += chunk
    head, _, first = received.partition(b"\r\n\r\n")
    request_line, *header_lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = tuple(
        (name, value.strip()) for name, _, value in (line.partition(":") for line in header_lines)
    )
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    missing = int(lengths[0] if lengths else 0) - len(first)
    parts = [first]
    while missing > 0:
        chunk = connection.recv(min(missing, 1 << 20))
        if not chunk:
            return None
        parts.append(chunk)
        missing -= len(chunk)
    return Request(time.time(), method, target, headers, b"".join(parts))
