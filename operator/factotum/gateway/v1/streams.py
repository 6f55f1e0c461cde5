"""Server-sent events: changes of jobs and growing logs, each to be taken up where it broke off.

A stream ends when its reader goes or may not read it any more, when the server
closes, or when the job has nothing more to tell. Its comments keep proxies from
taking silence for death.
"""

import asyncio
import codecs
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from factotum.core.errors import FactotumError
from factotum.core.words.states import JobState
from factotum.gateway.v1.models import Job, Task
from factotum.jobs.errors import JobsError
from factotum.jobs.service import JobService
from factotum.jobs.views import Change, LogPiece, LogQuery, TaskView

_SILENCE_SECONDS: Final = 15.0
_MOST: Final = 512
_FAR_BEHIND: Final = 5_000
"""Changes that are worth telling one by one; who missed more reads the list anew."""
_PIECE: Final = 256 * 1024
_POLL_SECONDS, _MAX_POLL_SECONDS = 0.25, 1.0


AGAIN_SECONDS: Final = 10.0


class TooManyStreamsError(FactotumError):
    """As many streams are open as may."""


class Streams:
    """All open streams. Belongs to one event loop.

    Args:
        service: tells what happens.
        again_seconds: after which who reads is looked at again.
    """

    def __init__(self, service: JobService, again_seconds: float = AGAIN_SECONDS) -> None:
        self._service = service
        self._again_seconds = again_seconds
        self._closing = asyncio.Event()
        self.count = 0

    def close(self) -> None:
        """End all streams; their readers come back to the next server."""
        self._closing.set()

    def check_room(self) -> None:
        """Say whether there is room for another stream.

        Raises:
            TooManyStreamsError: there is none.
        """
        if self.count >= _MOST:
            raise TooManyStreamsError

    async def given(
        self, stream: AsyncIterator[bytes], may_stay: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Pass on a stream, and count it, for as long as somebody reads it who may.

        Args:
            may_stay: says whether he still may; asked from time to time, before he is told more.
        """
        self.count += 1
        asked = time.monotonic()
        try:
            async for part in stream:
                if time.monotonic() - asked >= self._again_seconds:
                    if not await may_stay():
                        return
                    asked = time.monotonic()
                yield part
        finally:
            self.count -= 1

    async def all_jobs(self, since: int | None) -> AsyncIterator[bytes]:
        """Tell of all jobs' changes.

        Args:
            since: go on behind this event; None: with the next one.
        """
        newest = self._service.sequence()
        if since is not None and not newest - _FAR_BEHIND <= since <= newest:
            yield _event("reset", newest, {"sequence": newest})
            since = newest
        else:
            yield _event("ready", newest if since is None else since, {"sequence": newest})
        async for change in self._changes(since, None):
            if change is None:
                yield b": still here\n\n"
            else:
                yield _event("job", change.sequence, _shown(change))

    async def one_job(self, key: str) -> AsyncIterator[bytes]:
        """Tell of one job: how it is now, then its changes, with tasks that have changed."""
        known: tuple[TaskView, ...] = ()
        async for change in self._changes(None, key):
            if change is None:
                yield b": still here\n\n"
                continue
            document = _shown(change)
            document["tasks"] = [
                Task.of(index, task).model_dump(by_alias=True)
                for index, task in enumerate(change.tasks)
                if index >= len(known) or known[index] != task
            ]
            known = change.tasks
            yield _event("job", change.sequence, document)

    async def _changes(self, since: int | None, key: str | None) -> AsyncIterator[Change | None]:
        """Yield changes; None after each silence."""
        changes = self._service.watch(since, key)
        closing = asyncio.ensure_future(self._closing.wait())
        following: asyncio.Future[Change] | None = None
        try:
            while True:
                following = following or asyncio.ensure_future(_next(changes))
                waited: set[asyncio.Future[Any]] = {following, closing}
                done, _ = await asyncio.wait(
                    waited,
                    timeout=_SILENCE_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if closing in done:
                    return
                if not done:
                    yield None
                    continue
                try:
                    change = following.result()
                except (StopAsyncIteration, JobsError):
                    return  # the job is gone
                following = None
                yield change
        finally:
            await _let_go(closing, following)

    async def log(self, key: str, query: LogQuery) -> AsyncIterator[bytes]:
        """Tell of a log's pieces as text; an event's id is where the next one begins."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        expected: int | None = None
        async for piece in self.pieces(key, query):
            if piece is None:
                yield b": still here\n\n"
                continue
            gap = piece.offset - expected if expected is not None else 0
            expected = piece.offset + len(piece.data)
            text = decoder.decode(piece.data)
            unread = len(decoder.getstate()[0])
            document = {"offset": piece.offset, "text": text, "size": piece.size}
            if gap > 0:
                document["dropped"] = gap
            yield _event("log", expected - unread, document)
        if not self._closing.is_set():
            missing = await self._missing(key, query)
            yield _event("end", expected or 0, {"missing": missing} if missing else {})

    async def pieces(self, key: str, query: LogQuery) -> AsyncIterator[LogPiece | None]:
        """Yield a log from a place on until its run is over; None after each silence."""
        job = (await self._service.get(key)).job
        attempt = query.attempt or job.attempt
        offset, wait, silence = query.offset, _POLL_SECONDS, 0.0
        while True:
            asked = LogQuery(task=query.task, attempt=attempt, offset=offset, limit=_PIECE)
            try:
                piece = await self._service.log(key, asked)
            except JobsError:
                return
            if piece.data or offset < 0:
                yield piece
                wait, silence = _POLL_SECONDS, 0.0
            offset = piece.offset + len(piece.data)
            if offset < piece.size and piece.data:
                continue
            if piece.complete and await self._is_over(key, attempt):
                return
            if await self._closes_within(wait):
                return
            silence += wait
            wait = min(wait * 1.5, _MAX_POLL_SECONDS)
            if silence >= _SILENCE_SECONDS:
                yield None
                silence = 0.0

    async def _missing(self, key: str, query: LogQuery) -> str:
        """Return why what was printed is not there any more."""
        with contextlib.suppress(JobsError):
            return (await self._service.log(key, replace(query, offset=0, limit=0))).missing
        return ""

    async def _is_over(self, key: str, attempt: int) -> bool:
        try:
            job = (await self._service.get(key)).job
        except JobsError:
            return True
        return job.state == JobState.DONE or attempt < job.attempt

    async def _closes_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return self._closing.is_set()


async def _next(changes: AsyncIterator[Change]) -> Change:
    return await anext(changes)


async def _let_go(*futures: asyncio.Future[Any] | None) -> None:
    for future in futures:
        if future is not None:
            future.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, JobsError):
                await future


def _shown(change: Change) -> dict[str, Any]:
    return {"job": Job.of(change.job).model_dump(mode="json", by_alias=True)}


def _event(kind: str, number: int, document: dict[str, Any]) -> bytes:
    """Write an event; JSON has no line feed of its own, so its data is one line."""
    return f"event: {kind}\nid: {number}\ndata: {json.dumps(document)}\n\n".encode()
