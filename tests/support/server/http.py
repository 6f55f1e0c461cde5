"""One HTTP request by hand, so that nothing is sent or understood but what a test says."""

import contextlib
import socket
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

_SECONDS = 30.0


class Answered(NamedTuple):
    """An answer; status None: the connection was closed without one."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes


def ask(
    port: int,
    method: str = "GET",
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    raw: bytes | None = None,
) -> Answered:
    """Send one request on a connection of its own, and return its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as line:
        request = raw if raw is not None else encode(port, method, path, headers or {}, body)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(request)
        try:
            with line.makefile("rb") as file:
                return read(file, method)
        except ConnectionResetError:
            return Answered(None, {}, b"")


def encode(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Return a request's bytes: the given headers, and those that it cannot do without."""
    names = {name.lower() for name in headers}
    head = [f"{method} {path} HTTP/1.1"]
    if "host" not in names:
        head.append(f"Host: 127.0.0.1:{port}")
    if "connection" not in names:
        head.append("Connection: close")
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        head.append(f"Content-Length: {len(body)}")
    head += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape") + (body or b"")


def read(file: BinaryIO, method: str = "GET") -> Answered:
    """Read an answer."""
    line = file.readline().decode("latin-1").strip()
    if not line:
        return Answered(None, {}, b"")
    headers: dict[str, str] = {}
    while field := file.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = field.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = int(line.split(" ")[1])
    if method == "HEAD":
        return Answered(status, headers, b"")
    if "content-length" in headers:
        return Answered(status, headers, file.read(int(headers["content-length"])))
    return Answered(status, headers, file.read())
