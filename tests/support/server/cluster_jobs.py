"""Backends on an API in memory, submissions for them, and what an operator would write."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

from factotum.jobs.checking import own
from factotum.jobs.kubernetes.backend import KubernetesBackend
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.views import JobRequest, Submission
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from factotum.persistence.entries import EntrySettings
from support.builders.manifests import make_factfile, make_task

NAMESPACE = "pipelines"
KEYS = EntrySettings(name="factotum")


def make_request(factfile: Any = None, *args: str, name: str = "a job") -> JobRequest:
    """Check a submission as a server does."""
    text = factfile if isinstance(factfile, str) else json.dumps(factfile or make_factfile())
    submission = Submission(name=name, factfile=text, args=args)
    return own.check(submission, (), "factotum")


def make_padded(size: int) -> str:
    """Make a factfile of at least so many bytes."""
    tasks = (make_task(f"t{n}", arguments=["x" * 60_000]) for n in range(size // 60_000 + 1))
    return json.dumps(make_factfile(*tasks))


class FarApi(MemoryApi):
    """An API to which requests and answers take their time, each another."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    async def _travel(self) -> None:
        await asyncio.sleep(self._dice.random() * 0.004)

    async def get(self, path: Any) -> Any:
        await self._travel()
        answer = await super().get(path)
        await self._travel()
        return answer

    async def create(self, path: Any, body: Any) -> Any:
        await self._travel()
        try:
            return await super().create(path, body)
        finally:
            await self._travel()

    async def merge(self, path: Any, body: Any) -> Any:
        await self._travel()
        try:
            return await super().merge(path, body)
        finally:
            await self._travel()


@contextlib.asynccontextmanager
async def serving(api: Any, **more: Any) -> AsyncIterator[KubernetesBackend]:
    """Have a backend that knows the jobs."""
    fields = {key: more.pop(key) for key in list(more) if key in ClusterSettings.__slots__}
    backend = KubernetesBackend(api, ClusterSettings(namespace=NAMESPACE, **fields), KEYS, **more)
    await backend.start()
    try:
        async with asyncio.timeout(10):
            while backend.missing():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        yield backend
    finally:
        await backend.stop()


def stored_jobs(api: MemoryApi) -> list[Any]:
    """Return the FactotumJobs that are stored."""
    return stored(api, paths.JOBS)


def stored(api: MemoryApi, resource: paths.Resource) -> list[Any]:
    """Return the objects of a kind that are stored."""
    root = f"{paths.collection(resource, NAMESPACE)}/"
    places = [place for place in api._objects if place.startswith(root)]
    return [api.stored(paths.Path(place)) for place in places]


def write_status(api: MemoryApi, raw: Any, **status: Any) -> Any:
    """Write into a job's status, as its operator would."""
    path = paths.job(NAMESPACE, raw["metadata"]["name"])
    found = api.stored(path)
    return api.put(path, found | {"status": (found.get("status") or {}) | status})


def end(api: MemoryApi, raw: Any, outcome: str = "SUCCEEDED", reason: str = "Succeeded") -> Any:
    """Have a job be DONE."""
    return write_status(api, raw, state="DONE", outcome=outcome, reason=reason, attempt=1)


async def known(backend: KubernetesBackend, version: str) -> None:
    """Wait until a backend's watch has come to a version."""
    async with asyncio.timeout(5):
        while backend.sequence() < int(version):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)


def away(_: object) -> None:
    """Be an API server that does not answer."""
    raise errors.UnreachableError("connection refused")
