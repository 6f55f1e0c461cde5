"""Plays a runner for load: what it says to the operator, without running anything.

A Pod then costs the machine little more than its words, so that what is measured is the operator
and not Python starting. What is said is made by the runner's own code; only the requests go
another way, many of them in one process. A test compares them with the real runner's, so this
cannot drift. Tasks succeed at once, each behind the one before; webhooks are not played.
"""

import asyncio
import json
import logging
import os
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from factotum.core.errors import FactotumError
from factotum.core.factfile import references, tags
from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.pod import claiming, reporting
from factotum.pod.progress import Progress
from factotum.pod.surroundings import Surroundings
from test_node.runners import Container, timestamp
from test_node.statuses import Ending

logger = logging.getLogger(__name__)

_TRY_SECONDS: Final = 10.0
_MAX_PAUSE_SECONDS: Final = 5.0
_TASK_SECONDS: Final = 0.003  # what a shell takes for `true`
_KILLED: Final = 137


_Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _UnreachableError(Exception):
    """No answer; the text says why."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a factfile comes to: jobs of one content share it."""

    names: list[str]
    job_reference: str


class Player:
    """Makes containers that play runners.

    Args:
        connections: how many requests to the operator may be under way at once.
        task_seconds: how long a task is said to take.
        trace: gets one JSON object a line for each run: when it said what.
    """

    def __init__(
        self,
        *,
        connections: int = 50,
        task_seconds: float = _TASK_SECONDS,
        trace: IO[str] | None = None,
    ) -> None:
        self.task_seconds = task_seconds
        self._room = asyncio.Semaphore(connections)
        self._trace = trace
        self._plans: dict[str, _Plan] = {}
        self._trust: dict[str, ssl.SSLContext] = {}

    def container(self, variables: Mapping[str, str], token: str) -> Container:
        """Start to play the runner of a Pod with these variables and this token."""
        return _PlayedRunner(self, Surroundings(variables), token)

    def plan(self, body: Mapping[str, Any]) -> _Plan:
        """Read what a claim was answered with."""
        wanted: dict[str, str] = body.get("tags") or {}
        key = json.dumps([body["factfileHash"], body.get("start"), wanted, body.get("env")])
        found = self._plans.get(key)
        if found is None:
            variables = (body.get("env") or {}) | tags.to_variables(wanted)
            factfile = Factfile.parse(body["factfile"], variables)
            execution = Execution(factfile, body.get("start"), eager=False, fail_interrupted=True)
            found = self._plans[key] = _Plan(
                [run.name for run in execution.task_runs],
                references.job_reference(factfile.compact, wanted),
            )
        return found

    async def _connect(self, around: Surroundings, authority: str) -> _Line:
        context = self._trust.get(around.operator_ca)
        if context is None:
            context = ssl.create_default_context(cadata=around.operator_ca)
            self._trust[around.operator_ca] = context
        host, separator, port = authority.rpartition(":")
        address = (host, int(port)) if separator else (authority, 443)
        name = address[0].rstrip(".")
        return await asyncio.open_connection(*address, ssl=context, server_hostname=name)

    def note(self, moments: Mapping[str, object]) -> None:
        """Write down how a run went."""
        if self._trace is not None:
            self._trace.write(json.dumps(moments) + "\n")
            self._trace.flush()

    async def post(
        self,
        around: Surroundings,
        token: str,
        path: str,
        body: bytes,
        *,
        seconds: float,
        lines: list[_Line],
    ) -> tuple[int, dict[str, Any]]:
        """Send one request, on a line that is kept for the next one as the runner does.

        Args:
            around: who asks.
            token: by what right.
            path: what is asked for.
            body: of the request.
            seconds: how long to wait for the answer.
            lines: those that the same runner keeps.

        Raises:
            _UnreachableError: there was no answer, or not of the operator.
        """
        authority, _, prefix = around.operator_url.removeprefix("https://").partition("/")
        head = (
            f"POST {f'/{prefix}' if prefix else ''}{path} HTTP/1.1\r\n"
            f"Host: {authority}\r\n"
            f"Authorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        async with self._room:
            try:
                async with asyncio.timeout(seconds):
                    line = lines.pop() if lines else await self._connect(around, authority)
                    try:
                        received = await _exchange(line, head.encode() + body)
                    except BaseException:
                        line[1].close()
                        raise
                    if b"\r\nconnection: close" in received.lower() or lines:
                        line[1].close()
                    else:
                        lines.append(line)
                return _parse(received)
            except (OSError, ValueError, EOFError) as exc:  # TimeoutError is an OSError
                raise _UnreachableError(repr(exc)) from exc


async def _exchange(line: _Line, request: bytes) -> bytes:
    reader, writer = line
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        return head + await reader.read()
    return head + await reader.readexactly(int(rest.partition(b"\r\n")[0]))


def _parse(received: bytes) -> tuple[int, dict[str, Any]]:
    head, _, payload = received.partition(b"\r\n\r\n")
    status = head[9:12]
    if not head.startswith(b"HTTP/1.") or not status.isdigit():
        raise ValueError("the answer is not HTTP")
    body = json.loads(payload)
    return int(status), body if isinstance(body, dict) else {}


class _PlayedRunner:
    """One runner, from its claim to its last word."""

    def __init__(self, player: Player, around: Surroundings, token: str) -> None:
        self._player = player
        self._around = around
        self._token = token
        self._claim_id = os.urandom(16).hex()
        self._started_at = timestamp()
        self._reason = ""
        self._dismissed = False
        self._lines: list[_Line] = []
        self._moments: dict[str, object] = {"job": around.job_uid, "begun": time.time()}
        self._life = asyncio.create_task(self._live())

    async def wait(self) -> Ending:
        """Wait for the end and say how it was."""
        await asyncio.wait([self._life])
        code, message = (_KILLED, b"") if self._life.cancelled() else self._life.result()
        return Ending(code, self._started_at, timestamp(), message.decode(), self._reason)

    def terminate(self) -> None:
        """End: there is nothing that could be stopped with care."""
        self.kill()

    def kill(self, reason: str = "") -> None:
        """End without a word."""
        self._reason = reason
        self._life.cancel()

    async def _live(self) -> tuple[int, bytes]:
        try:
            body = await self._claim()
            if body is None:
                return claiming.EXIT_UNSTARTED, b""
            return await self._work(body)
        except TimeoutError:
            return claiming.EXIT_UNSTARTED, claiming.unstarted_message(self._claim_id)
        except (FactotumError, KeyError):
            logger.exception("job %s cannot be played", self._around.job_uid)
            return claiming.EXIT_UNSTARTED, claiming.unstarted_message(self._claim_id)
        finally:
            for _, writer in self._lines:
                writer.close()
            self._player.note(self._moments)

    async def _claim(self) -> dict[str, Any] | None:
        """Ask until there is a clear answer; None if it is no.

        Raises:
            TimeoutError: there was none for very long.
        """
        around = self._around
        path = f"/v1/claims/{around.job_uid}/{around.attempt}/{around.launch}"
        request = f'{{"claim":"{self._claim_id}"}}'.encode()
        pause = 0.1
        retries = 0
        async with asyncio.timeout(claiming.GIVE_UP_SECONDS):
            while True:
                try:
                    status, body = await self._post(path, request, _TRY_SECONDS)
                except _UnreachableError:
                    status, body = 0, {}
                if status == 200:
                    self._moments |= {"claimed": time.time(), "claim_retries": retries}
                    return body
                if status in (409, 410):
                    return None
                retries += 1
                await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311
                pause = min(_MAX_PAUSE_SECONDS, pause * 2)

    async def _work(self, body: dict[str, Any]) -> tuple[int, bytes]:
        plan = self._player.plan(body)
        run_reference = references.run_reference(references.uuid_text(os.urandom(16)))
        progress = Progress(
            self._claim_id, body["factfileHash"], plan.names, (plan.job_reference, run_reference)
        )
        reports: list[asyncio.Task[bool]] = []
        seconds = self._player.task_seconds
        for name in plan.names:
            progress.started(name, time.time_ns())
            progress.sequence += 1
            if not reports:  # a second one would come a second later
                reports.append(asyncio.create_task(self._report_first(progress)))
            await asyncio.sleep(seconds)
            progress.ended(name, "SUCCEEDED", 0, int(seconds * 1e9), None)
            progress.sequence += 1
        progress.final = True
        progress.sequence += 1
        await self._finish(progress)
        for report in reports:  # it dies with the process
            report.cancel()
        return int(self._dismissed), progress.termination_message()

    async def _report_first(self, progress: Progress) -> bool:
        await asyncio.sleep(reporting.FIRST_SECONDS)
        return progress.final or await self._report(progress, _TRY_SECONDS)

    async def _finish(self, progress: Progress) -> None:
        deadline = time.monotonic() + reporting.FINAL_SECONDS
        self._moments["final"] = time.time()
        while not await self._report(progress, max(0.2, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                self._moments["untold"] = True
                return
            await asyncio.sleep(0.2)
        self._moments["told"] = time.time()

    async def _report(self, progress: Progress, seconds: float) -> bool:
        """Send the run as it is; tell whether there is no need to send it again."""
        path = f"/v1/reports/{self._around.job_uid}/{self._around.attempt}"
        try:
            status, _ = await self._post(path, progress.snapshot().to_json(), seconds)
        except _UnreachableError:
            return False
        self._dismissed |= status == 410
        return status in (200, 410)

    async def _post(self, path: str, body: bytes, seconds: float) -> tuple[int, dict[str, Any]]:
        return await self._player.post(
            self._around, self._token, path, body, seconds=seconds, lines=self._lines
        )
