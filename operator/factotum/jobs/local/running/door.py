"""The socket at which runners claim and report: HTTP, as small as they need it.

A file in the data folder, which nobody else may enter. Only form here: paths,
tokens, sizes; ``desk`` decides. By hand, since one such exchange is what a job
costs the server most, and both ends of it are ours.
"""

import asyncio
import json
import os
import re
import socket
from pathlib import Path
from typing import Final, Protocol

from factotum.core.wire import addresses
from factotum.core.wire.judging import Answer, Denied, Granted
from factotum.core.wire.reports import MAX_BYTES, Report, ReportError
from factotum.jobs.errors import BackendError

_HEAD_BYTES: Final = 8 * 1024
_BACKLOG: Final = 1024
_PATHS: Final = re.compile(
    rf"POST (?:{addresses.CLAIMS}/(?P<claimed>\d{{1,18}})/(?P<attempt>\d{{1,9}})"
    r"/(?P<launch>\d{1,9})"
    rf"|{addresses.REPORTS}/(?P<reported>\d{{1,18}})/(?P<of>\d{{1,9}})) HTTP/1\.1\r\n"
)
_TOKEN: Final = re.compile(r"\r\nauthorization: bearer ([0-9a-f]{1,128})\r\n", re.IGNORECASE)
_LENGTH: Final = re.compile(r"\r\ncontent-length: (\d{1,9})\r\n", re.IGNORECASE)
_CLAIM_ID: Final = re.compile(r"[0-9a-f]{16,128}")
_PHRASES: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 410: "Gone"}


class Decider(Protocol):
    """Decides claims and reports."""

    async def claim(self, key: int, wanted: tuple[int, int], claim_id: str, token: str) -> Answer:
        """Decide a claim."""

    async def report(self, key: int, attempt: int, report: Report, token: str) -> Answer:
        """Take a report."""


class Door:
    """Listens to runners.

    Args:
        path: of the socket; a file of an earlier server there is replaced.
        desk: decides.
    """

    def __init__(self, path: Path, desk: Decider) -> None:
        self._path = path
        self._desk = desk
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen.

        Raises:
            BackendError: that cannot be.
        """
        try:
            listener = self._listener()
        except OSError as error:
            raise BackendError(f"no runner could report at {self._path}: {error}") from None
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=MAX_BYTES + _HEAD_BYTES
        )

    def _listener(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        # By its folder: the whole path may be longer than a socket's address.
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{self._path.name}")
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        finally:
            os.close(folder)
            os.umask(before)
        return listener

    async def close(self) -> None:
        """Hang up; runners ask again, and find the next server."""
        if self._server is not None:
            self._server.close()
            for line in tuple(self._lines):
                line.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                found = _LENGTH.search(head)
                length = int(found[1]) if found else 0
                if length > MAX_BYTES:
                    return
                body = await reader.readexactly(length)
                writer.write(_encode(await self._answer(head, body)))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _answer(self, head: str, body: bytes) -> Answer:
        path, token = _PATHS.match(head), _TOKEN.search(head)
        if path is None or token is None:
            return Denied(status=404, message="no such place")
        try:
            if path["claimed"]:
                claim_id = _claim_id(body)
                wanted = int(path["attempt"]), int(path["launch"])
                return await self._desk.claim(int(path["claimed"]), wanted, claim_id, token[1])
            report = Report.from_json(body)
        except (ReportError, ValueError, KeyError, TypeError) as error:
            return Denied(status=400, message=f"not understood: {error}")
        return await self._desk.report(int(path["reported"]), int(path["of"]), report, token[1])


def _claim_id(body: bytes) -> str:
    claim_id: str = json.loads(body)["claim"]
    if not _CLAIM_ID.fullmatch(claim_id):
        raise ValueError("claim: expected digits")
    return claim_id


def _encode(answer: Answer) -> bytes:
    if isinstance(answer, Granted):
        status, body = 200, answer.body
    elif isinstance(answer, Denied):
        status, body = answer.status, {"error": answer.message}
    else:
        status, body = 503, {"error": answer.message}
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {status} {_PHRASES.get(status, 'Later')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload
