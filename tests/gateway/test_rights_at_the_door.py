"""Rights that somebody else gives and takes: what is told to who has none, and when a stream ends.

Real: the doors with all that is behind them, the local backend. Requests are given to them without
a connection; who may do what is said here, as a cluster would.
"""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest

from factotum.gateway.access.protocol import UNKNOWN, Denial
from factotum.gateway.figures import Figures
from factotum.gateway.front import Front
from factotum.gateway.original.requests import Guard
from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.service import JobService
from support.server.backends import asking, ended, local
from support.server.running import factfile

DENIALS = {
    401: UNKNOWN,
    403: Denial(403, "anna may not watch factotumjobs in namespace pipelines"),
    503: Denial(503, "who may do what cannot be found out now"),
}


class Rights:
    """Lets everybody do everything, until it is told otherwise."""

    def __init__(self):
        self.status = 200

    async def denial(self, headers, deed):  # noqa: ARG002 - the protocol's
        return DENIALS.get(self.status)


class Asked:
    """A request and what is answered to it."""

    def __init__(self, door, path):
        self.headers = []
        self.body = b""
        self.status = None
        self._news = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.task = asyncio.create_task(door(scope, self._receive, self._send))
        self._has_begun = False

    async def _receive(self):
        if self._has_begun:
            await asyncio.Event().wait()  # it stays and listens
        self._has_begun = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, event):
        if event["type"] == "http.response.start":
            self.status, self.headers = event["status"], event["headers"]
        else:
            self.body += event.get("body", b"")
        self._news.set()

    async def until(self, text):
        async with asyncio.timeout(30):
            while text not in self.body:
                self._news.clear()
                await self._news.wait()

    async def end(self):
        async with asyncio.timeout(30):
            await self.task

    def count(self, name):
        return [key.lower() for key, _ in self.headers].count(name)


@pytest.fixture
async def checker():
    processes = CheckingProcesses("factotum", count=1)
    yield processes
    await processes.stop()


@asynccontextmanager
async def front(folder, checker, rights):
    async with local(folder) as backend:
        service = JobService(backend, checker)
        made = Front(service, Guard(access=rights), Figures(), again_seconds=0.0)
        yield service, made.applications["/v1"]
        made.close()


@pytest.mark.parametrize(
    ("status", "kind", "header"),
    [
        (401, "token-needed", b"www-authenticate"),
        (403, "no-right", None),
        (503, "busy", b"retry-after"),
    ],
)
async def test_each_denial_has_its_kind_and_its_headers_once(
    checker, tmp_path, status, kind, header
):
    rights = Rights()
    rights.status = status
    async with front(tmp_path, checker, rights) as (_, door):
        asked = Asked(door, "/v1/jobs")
        await asked.end()

    problem = json.loads(asked.body)
    assert (asked.status, problem["type"]) == (status, f"urn:factotum:problem:{kind}")
    assert problem["detail"] == DENIALS[status].text
    if header is not None:
        assert asked.count(header) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_who_loses_the_right_to_a_stream_is_told_nothing_more(checker, tmp_path, status):
    rights = Rights()
    async with front(tmp_path, checker, rights) as (service, door):
        asked = Asked(door, "/v1/events")
        await asked.until(b"event: ready")
        rights.status = status
        job = await service.submit(asking(factfile("echo")))
        await ended(service, job.key)
        await asked.end()

    assert asked.status == 200
    assert b"event: job" not in asked.body


async def test_a_stream_goes_on_while_nobody_can_say_who_may_read_it(checker, tmp_path):
    rights = Rights()
    async with front(tmp_path, checker, rights) as (service, door):
        asked = Asked(door, "/v1/events")
        await asked.until(b"event: ready")
        rights.status = 503
        await service.submit(asking(factfile("echo")))
        await asked.until(b"SUCCEEDED")
        asked.task.cancel()
        with suppress(asyncio.CancelledError):
            await asked.task
