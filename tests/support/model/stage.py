"""The controller's parts on an API in memory and a clock that is held: one look at a time.

Real: everything that ``assembly.build`` puts together. What the cache knows and what the API
server holds are set apart, since they may differ.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from factotum.controller import assembly
from factotum.controller.clock import HeldClock
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.pods import PodView
from factotum.controller.mirror.protocol import Mirror, NoMirror
from factotum.controller.queue.slots import Slots
from factotum.controller.recording import NO_RECORDER, Recorder
from factotum.controller.settings import Settings
from factotum.kube import names, paths
from factotum.kube.api import RawObject
from factotum.kube.fenced import FencedApi
from factotum.kube.memory import MemoryApi, Request
from factotum.kube.resource import FactotumJob, JobUid
from support.builders import factfiles, jobs

NAMESPACE = "pipelines"
JOB = paths.job(NAMESPACE, "nightly")
SPEC = {"factfile": json.loads(factfiles.graph("nightly", a=(), b=("a",)))}


def pod_path(attempt: int = 1, launch: int = 1) -> paths.Path:
    """Return where a launch's Pod lies."""
    return paths.pod(NAMESPACE, names.pod_name("nightly", jobs.JOB_UID, attempt, launch))


class Listener:
    """A subscriber that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:
        self.told.append((job.name, is_gone))

    def pod_changed(self, pod: PodView) -> None:
        self.told.append((pod.name, pod.ended))


class Stage:
    """One controller that does nothing by itself.

    Args:
        workers: slots.
        api: a server that others use, too.
        fence: what each of its changes looks at first.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        namespaces: Sequence[str] = (),
        mirror: Mirror | None = None,
        api: MemoryApi | None = None,
        recorder: Recorder = NO_RECORDER,
        fence: Callable[[], None] = lambda: None,
        settings: Settings | None = None,
    ) -> None:
        self.api = api or MemoryApi()
        self.clock = HeldClock(jobs.NOW)
        self.cache = Cache()
        self.slots = Slots(workers)
        self.mirror: Any = mirror or NoMirror()
        resolver: Any = None  # no job here has a host constraint
        self.parts = assembly.build(
            api=FencedApi(self.api, fence),
            settings=settings or Settings(max_workers=workers, namespaces=tuple(namespaces)),
            resolver=resolver,
            cache=self.cache,
            slots=self.slots,
            mirror=self.mirror,
            clock=self.clock,
            recorder=recorder,
        )
        self.reconciler = self.parts.reconciler
        self.desk = self.parts.desk
        self.listener = Listener()
        self.cache.subscribe(self.reconciler)
        self.cache.subscribe(self.listener)

    def job(self, **fields: Any) -> RawObject:
        """Have a job, in the API server and in the cache."""
        raw = jobs.raw_job(**({"spec": SPEC} | fields))
        return self.sees(self.api.put(_path_of(raw), raw))

    def pod(self, **fields: Any) -> RawObject:
        """Have one of the job's Pods, in the API server and in the cache."""
        raw = jobs.raw_pod(**fields)
        stored = self.api.put(paths.pod(raw["metadata"]["namespace"], raw["metadata"]["name"]), raw)
        self.cache.put_pod(stored)
        return stored

    def sees(self, raw: RawObject) -> RawObject:
        """Have the cache take in a version of a job."""
        self.cache.put_job(raw)
        return raw

    def behind_its_back(self, **status: Any) -> RawObject:
        """Change the job's status without the cache's knowledge."""
        stored = self.api.stored(JOB)
        assert stored is not None
        return self.api.put(JOB, stored | {"status": stored["status"] | status})

    def status(self) -> RawObject:
        """Return the job's status as it is stored."""
        stored = self.api.stored(JOB)
        assert stored is not None
        return dict(stored["status"])

    async def look(self, uid: JobUid = jobs.JOB_UID) -> list[str]:
        """Look at a job once; return the requests of it, in few words."""
        before = len(self.api.requests)
        try:
            await self.reconciler.look(uid)
        finally:
            await settle()
        return [brief(request) for request in self.api.requests[before:]]

    def queued(self) -> set[JobUid]:
        """Return the jobs that are to be looked at now."""
        return set(self.reconciler.queue._dirty)

    def holds(self, uid: JobUid = jobs.JOB_UID) -> bool:
        """Whether a job has a worker."""
        return type(self.slots.place(uid)).__name__ == "Held"


async def settle() -> None:
    """Let what runs beside come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


def brief(request: Request) -> str:
    """Return a request in few words."""
    parts = request.path.split("/")
    what = parts[-1] if request.method in ("POST", "LIST", "WATCH") else parts[-2]
    words = [request.method, what]
    if request.method == "PATCH":
        words.append(str(request.body.get("reason") or request.body.get("progress")))
    elif what == "events":
        words += [request.body["type"], request.body["reason"]]
    return " ".join(words)


def _path_of(raw: RawObject) -> paths.Path:
    return paths.job(raw["metadata"]["namespace"], raw["metadata"]["name"])
