"""What stands between a job server and Consul: passes on and remembers, or plays an outage.

Passing on is the rule; down it refuses connections, failing it answers 500, silent
it takes requests and never answers.
"""

import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote

_SECONDS = 20


class Seen(NamedTuple):
    """A request that came."""

    method: str
    path: str
    kind: str | None
    body: str


class ConsulGate:
    """A port that stands for Consul's. Use as a context manager.

    Args:
        address: Consul's, host:port.
    """

    def __init__(self, address: str) -> None:
        self.seen: list[Seen] = []
        self.mode = "ok"
        self.port = 0
        self._address = address
        self._written: set[str] = set()
        self._server: ThreadingHTTPServer | None = None
        self._released = threading.Event()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for key in self._written:
            self._ask("DELETE", f"/v1/kv/{quote(key)}", b"")

    def open(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), _Handler)
            self._server.gate = self
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        self._released.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self._released = threading.Event()

    def set(self, mode: str) -> None:
        """Change what it does: ``ok``, ``down``, ``silent``, or a status to answer."""
        if mode == "down":
            self.close()
            return
        self.mode = mode
        self._released.set()
        self._released = threading.Event()
        self.open()

    def answer(self, seen: Seen, body: bytes) -> tuple[int, bytes]:
        """Answer a request of the server's."""
        self.seen.append(seen)
        released = self._released
        if self.mode == "silent":
            released.wait(_SECONDS)
            return 500, b"late"
        if self.mode != "ok":
            return int(self.mode), b"unavailable"
        key = seen.path.partition("?")[0].removeprefix("/v1/kv/")
        if seen.method == "PUT" and seen.path.startswith("/v1/kv/"):
            self._written.add(unquote(key))
        if seen.path == "/v1/txn":
            self._written |= {each["KV"]["Key"] for each in json.loads(body)}
        return self._ask(seen.method, seen.path, body)

    def get(self, key: str) -> str | None:
        """Read a key past the server."""
        status, body = self._ask("GET", f"/v1/kv/{quote(key)}?raw", b"")
        return body.decode("utf-8", "replace") if status == 200 else None

    def put(self, key: str, value: bytes) -> None:
        """Write a key past the server."""
        self._written.add(key)
        self._ask("PUT", f"/v1/kv/{quote(key)}", value)

    def delete(self, key: str) -> None:
        """Remove a key past the server."""
        self._ask("DELETE", f"/v1/kv/{quote(key)}", b"")

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body if method == "PUT" else None)
            answer = connection.getresponse()
            return answer.status, answer.read()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    gate: Any = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type")
        seen = Seen(self.command, self.path, kind, body.decode("utf-8", "replace"))
        status, answer = self.server.gate.answer(seen, body)  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names
