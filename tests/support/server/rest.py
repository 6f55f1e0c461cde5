"""v1 of a test's own server, asked as programs ask it."""

import io
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from support.server.http import Answered, ask, encode
from support.server.running import Server, factfile

JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"


class Event(NamedTuple):
    """A server-sent event."""

    kind: str
    id: int
    data: Any


class Rest:
    """Asks a server by v1.

    Args:
        server: which.
        headers: sent along with each request.
    """

    def __init__(self, server: Server, headers: Mapping[str, str] | None = None) -> None:
        self.server = server
        self._headers = dict(headers or {})

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answered:
        """GET, and read what comes in chunks."""
        answer = ask(self.server.port, "GET", path, {**self._headers, **(headers or {})})
        if answer.headers.get("transfer-encoding") == "chunked":
            return answer._replace(body=b"".join(_chunks(io.BytesIO(answer.body))))
        return answer

    def post(
        self, path: str, document: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """POST, as JSON if there is a document."""
        more = {**self._headers, **(JSON if document is not None else {}), **(headers or {})}
        body = b"" if document is None else json.dumps(document).encode()
        return ask(self.server.port, "POST", path, more, body)

    def read(self, path: str, status: int = 200) -> Any:
        """GET a document."""
        answer = self.get(path)
        assert answer.status == status, answer
        return json.loads(answer.body)

    def submit(self, *commands: str, name: str = "job", args: tuple[str, ...] = ()) -> Any:
        """Submit a factfile of commands that run one after the other; return the job."""
        body = {"factfile": factfile(*commands, name=name), "args": list(args)}
        answer = self.post("/v1/jobs", body)
        assert answer.status == 201, answer
        return json.loads(answer.body)

    def wait(self, key: str, state: str = "DONE", seconds: float = 30) -> Any:
        """Wait until a job is in a state; return all that is told of it."""
        deadline = time.monotonic() + seconds
        while (detail := self.read(f"/v1/jobs/{key}"))["job"]["state"] != state:
            assert time.monotonic() < deadline, detail["job"]
            time.sleep(0.03)
        return detail

    def events(self, path: str, last: int | None = None, seconds: float = 20) -> Iterator[Event]:
        """Yield a stream's events for as long as it lasts."""
        headers = {**self._headers, **({} if last is None else {"Last-Event-ID": str(last)})}
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=seconds) as line:
            line.sendall(encode(self.server.port, "GET", path, headers, None))
            file = line.makefile("rb")
            assert b" 200 " in file.readline()
            for field in iter(file.readline, b"\r\n"):
                assert field
            yield from _events(_chunks(file))


def _chunks(file: Any) -> Iterator[bytes]:
    while size := int(file.readline().strip() or b"0", 16):
        yield file.read(size)
        file.readline()


def _events(chunks: Iterator[bytes]) -> Iterator[Event]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        while b"\n\n" in rest:
            block, _, rest = rest.partition(b"\n\n")
            fields = dict(
                line.split(": ", 1) for line in block.decode().split("\n") if ": " in line
            )
            if "data" in fields:
                yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
