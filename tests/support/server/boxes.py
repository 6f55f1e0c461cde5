"""Several boxes on one Consul in this very process, which die, are cut off and come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.local.backend import LocalBackend
from factotum.jobs.local.boxes.claims import Keys
from factotum.jobs.local.boxes.entries import SharedEntries
from factotum.jobs.local.boxes.takeover import Takeover
from factotum.jobs.local.entries import OwnEntries
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.service import JobService
from factotum.jobs.views import JobView, Submission
from factotum.persistence.access import Access
from factotum.persistence.consul import ConsulStore
from support.consul.process import ConsulProcess
from support.server.backends import PREFIX

KEYS = Keys(PREFIX)
TTL_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
SOON_SECONDS = 30.0


class Box:
    """A server's backend with its data folder, over its deaths. Use as a context manager.

    Args:
        folder: of all boxes.
        address: of Consul, or of what stands between.
        name: of this one, its ``--consul-name`` as well unless that is given.
        settings: of the backend.
    """

    access: Access | None = None
    """How Consul lets it in."""

    def __init__(
        self,
        folder: Path,
        address: str,
        checker: CheckingProcesses,
        name: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        secret: str = "",
        consul_name: str = "",
        **settings: Any,
    ) -> None:
        self._settings = LocalSettings(folder=folder / name, **settings)
        self._address = address
        self._checker = checker
        self._patience_seconds = patience_seconds
        self._secret = secret
        self._consul_name = consul_name or name
        self.name = name
        self._is_up = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def start(self) -> None:
        """Start a server on the folder."""
        self.entries = SharedEntries(
            ConsulStore(self._address, self.access),
            OwnEntries(self._consul_name, PREFIX),
            self._consul_name,
            PREFIX,
            settings=self._settings,
            ttl_seconds=TTL_SECONDS,
            secret=self._secret,
        )
        self.backend = LocalBackend(self._settings, self.entries)
        self.service = JobService(self.backend, self._checker)
        await self.backend.start()
        self._takeover = Takeover(
            self.entries,
            self.backend,
            self._checker.check,
            patience_seconds=self._patience_seconds,
            resumes=self._settings.resumes,
        )
        self._takeover.start()
        self._is_up = True

    async def die(self) -> None:
        """End the server; its runners go on, and its session runs out."""
        if self._is_up:
            self._is_up = False
            await self._takeover.stop()
            await self.backend.stop()

    async def submit(self, path: Path, *args: str, name: str = "job") -> JobView:
        """Submit a factfile by its path."""
        return await self.service.submit(
            Submission(name=name, factfile_path=str(path), args=tuple(args))
        )

    async def jobs(self, job_id: str) -> list[JobView]:
        """Return what it knows of a job id, the oldest first."""
        keys = range(1, 200)
        found = []
        for key in keys:
            with suppress(Exception):
                found.append((await self.service.get(str(key))).job)
        return [job for job in found if job.job_id == job_id]

    async def until_looked_at(self, job_id: str) -> None:
        """Wait until it has said that it cannot run a job of a box that is gone."""
        await until(lambda: job_id in self.entries.left_alone, "looked at")

    async def until_in(self) -> None:
        """Wait until it is among the others."""
        await until(lambda: self.entries.membership.is_in, f"{self.name} is in")


async def until(look: Any, what: str, seconds: float = SOON_SECONDS) -> Any:
    """Wait until something holds, and return it."""
    async with asyncio.timeout(seconds):
        while not (found := look()):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
    return found


def stored(consul: ConsulProcess, job_id: str) -> dict[str, Any]:
    """Return a job's entry; empty if there is none."""
    value = consul.get(f"{PREFIX}/{job_id}")
    return json.loads(value) if value else {}


def claim(consul: ConsulProcess, job_id: str) -> dict[str, Any]:
    """Return a job's claim; empty if there is none."""
    value = consul.get(KEYS.claim(job_id))
    return json.loads(value) if value else {}


async def until_entry(consul: ConsulProcess, job_id: str, **wanted: str) -> dict[str, Any]:
    """Wait until an entry says something, and return it."""

    def look() -> dict[str, Any]:
        entry = stored(consul, job_id)
        return entry if wanted.items() <= entry.items() else {}

    try:
        found: dict[str, Any] = await until(look, "entry")
    except TimeoutError:
        raise AssertionError(f"{wanted} is not {stored(consul, job_id)}") from None
    return found


def write(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a factfile."""
    path.write_text(json.dumps(document))
    return path


def lines(path: Path) -> list[str]:
    """Return what tasks have written down."""
    return path.read_text().split() if path.exists() else []


@asynccontextmanager
async def boxes(*made: Box) -> AsyncIterator[None]:
    """Have boxes that are all in."""
    try:
        for each in made:
            await each.start()
        for each in made:
            await each.until_in()
        yield
    finally:
        for each in made:
            await each.die()
