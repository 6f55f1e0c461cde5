"""A local backend in this very process, and what tests ask of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factotum.jobs.local.backend import LocalBackend
from factotum.jobs.local.entries import Entries, OwnEntries
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.service import JobService
from factotum.jobs.views import Change, JobView, Submission

PREFIX = "com.snowplowanalytics/factotum"


@asynccontextmanager
async def local(
    folder: Path, entries: Entries | None = None, **settings: Any
) -> AsyncIterator[LocalBackend]:
    """Have a local backend that keeps its data in a folder of this one."""
    backend = LocalBackend(
        LocalSettings(folder=folder / "data", **settings), entries or OwnEntries("box", PREFIX)
    )
    await backend.start()
    try:
        yield backend
    finally:
        await backend.stop()


def asking(document: Mapping[str, Any], *args: str, name: str = "job") -> Submission:
    """Ask for a run of a factfile that comes with the request."""
    return Submission(name=name, factfile=json.dumps(document), args=args)


async def ended(service: JobService, key: str, seconds: float = 60) -> Change:
    """Wait for a job's end."""
    return await _changed(service, key, "DONE", seconds)


async def in_state(service: JobService, key: str, state: str, seconds: float = 60) -> JobView:
    """Wait until a job is in a state."""
    return (await _changed(service, key, state, seconds)).job


async def first_task_done(service: JobService, key: str, seconds: float = 60) -> None:
    """Wait until a job's runner has told that its first task has succeeded."""
    async with asyncio.timeout(seconds):
        async for change in service.watch(key=key):
            if change.tasks and change.tasks[0].state == "SUCCEEDED":
                return


async def _changed(service: JobService, key: str, state: str, seconds: float) -> Change:
    async with asyncio.timeout(seconds):
        async for change in service.watch(key=key):
            if change.job.state == state:
                return change
    raise AssertionError("the stream ended before the job")


async def with_reason(service: JobService, key: str, reason: str, seconds: float = 60) -> JobView:
    """Wait until a job is as it is for a reason."""
    async with asyncio.timeout(seconds):
        async for change in service.watch(key=key):
            if change.job.reason == reason:
                return change.job
    raise AssertionError("the stream ended before the job")
