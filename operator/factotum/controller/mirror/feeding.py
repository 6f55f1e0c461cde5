"""The mirror as the controller sees it: FactotumJobs in, entries out.

Translates between the store's objects and the mirror's views; without Consul
it does nothing. The mirror itself knows neither.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from factotum.controller.facts.cache import Store
from factotum.controller.mirror.mirror import HeldByOther, Mirror, Taken, Unreachable
from factotum.controller.mirror.rules import MirrorView
from factotum.controller.settings import Settings
from factotum.kube import errors, names
from factotum.kube.client import KubeClient
from factotum.kube.resource import FactotumJob, JobUid
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import EntrySettings, JobKey, checked_name

logger = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 2.0
_NEVER_RAN: Final = frozenset(
    {
        "DryRun",
        "FactfileChanged",
        "HostConstraintAmbiguous",
        "InvalidFactfile",
        "InvalidStart",
        "NotSupported",
        "PodRejected",
    }
)
"""Reasons of jobs that the original server would have refused at the door."""


class JobMirror:
    """Keeps Consul level with the store; see ``mirror``."""

    def __init__(self, client: KubeClient, consul: ConsulStore | None) -> None:
        self._client = client
        self._consul = consul
        self._mirror: Mirror | None = None
        self._store: Store | None = None
        self._holds: Callable[[FactotumJob], bool] = lambda _: False
        self._ids: dict[JobUid, str] = {}
        self._jobs: defaultdict[JobKey, set[JobUid]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def start(
        self, store: Store, settings: EntrySettings, holds: Callable[[FactotumJob], bool]
    ) -> None:
        """Begin, all lists being read."""
        if self._consul is None:
            return
        self._store = store
        self._holds = holds
        for job in store.jobs.values():
            self._file(job)
        for pod in store.pods():
            if pod.job_uid in store.jobs:
                self.know(pod.job_uid, pod.job_id)
        self._mirror = Mirror(self._consul, settings, self)
        self._task = asyncio.create_task(self._mirror.run(), name="mirror")

    async def stop(self) -> None:
        """End, after writing what can be written at once; the rest follows at the next start."""
        if self._task is not None and self._mirror is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._mirror.settled()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._consul is not None:
            self._consul.close()

    def know(self, uid: JobUid, job_id: str) -> None:
        """Learn a job's id before its status has it."""
        job = self._store.jobs.get(uid) if self._store else None
        if job is not None and job_id:
            self._ids[uid] = job_id
            self._jobs[JobKey(job.namespace, job_id)].add(uid)

    def note(self, job: FactotumJob) -> None:
        """Say that a job appeared or changed."""
        if self._mirror is None:
            return
        key = self._file(job)
        if key is not None:
            self._mirror.note(key)

    def gone(self, job: FactotumJob) -> None:
        """Say that a job's resource is no more."""
        if self._mirror is None:
            return
        key = self._file(job)
        self._ids.pop(job.uid, None)
        if key is not None:
            self._jobs[key].discard(job.uid)
            if not self._jobs[key]:
                del self._jobs[key]
            self._mirror.note(key)

    async def take(self, job: FactotumJob) -> str:
        """Write a job's entry before its Pod is created; return what is to be told."""
        view = self._view(job)
        if self._mirror is None or view is None:
            return ""
        match await self._mirror.take(view):
            case HeldByOther(last_run_from=other):
                return f"its Consul entry is held by {other} and is left alone"
            case Unreachable(message=message):
                return f"its Consul entry follows later: {message}"
            case Taken():
                return ""

    # --- JobSource, asked by the mirror -----------------------------------------

    def views(self, key: JobKey) -> Sequence[MirrorView]:
        """Return the jobs of one key."""
        jobs = self._store.jobs if self._store else {}
        found = (jobs.get(uid) for uid in self._jobs.get(key, ()))
        return [view for job in found if job and (view := self._view(job))]

    def every(self) -> Iterable[MirrorView]:
        """Return all jobs that have a job id."""
        jobs = self._store.jobs.values() if self._store else ()
        return [view for job in jobs if (view := self._view(job))]

    async def read(self, key: JobKey, job_name: str) -> MirrorView | None:
        """Read live the job that an entry names."""
        namespace, separator, name = job_name.partition("/")
        if not separator:
            namespace, name = key.namespace, job_name
        try:
            raw = await self._client.get(names.job_path(namespace, name))
        except errors.NotFoundError:
            return None
        job = FactotumJob.from_raw(raw)
        self._file(job)
        return self._view(job)

    async def pod_lives(self, key: JobKey) -> bool:
        """Whether a Pod of ours of that job id has not ended."""
        pods = self._store.pods() if self._store else []
        return any(
            not pod.ended and (pod.namespace, pod.job_id) == (key.namespace, key.job_id)
            for pod in pods
        )

    def _file(self, job: FactotumJob) -> JobKey | None:
        job_id = str(job.status.get("jobId", "")) or self._ids.get(job.uid, "")
        if not job_id:
            return None
        key = JobKey(job.namespace, job_id)
        self._ids[job.uid] = job_id
        self._jobs[key].add(job.uid)
        return key

    def _view(self, job: FactotumJob) -> MirrorView | None:
        job_id = str(job.status.get("jobId", "")) or self._ids.get(job.uid, "")
        if not job_id:
            return None
        return MirrorView(
            uid=job.uid,
            namespace=job.namespace,
            name=job.name,
            job_id=job_id,
            state=job.state or "QUEUED",
            outcome=str(job.status.get("outcome") or "WAITING"),
            created=job.created,
            completed=job.status.get("completionTime"),
            holds=self._holds(job),
            ran=str(job.status.get("reason", "")) not in _NEVER_RAN,
            spec=job.spec,
        )


async def connect(settings: Settings, client: KubeClient) -> tuple[JobMirror, EntrySettings | None]:
    """Prepare the mirror, if there is a Consul to mirror to.

    Raises:
        EntrySettingsError: the name or namespace cannot be used.
    """
    if settings.consul_address is None:
        return JobMirror(client, None), None
    cluster = await client.get("/api/v1/namespaces/kube-system")
    name = checked_name(
        settings.consul_name,
        cluster_uid=cluster["metadata"]["uid"],
        force=settings.force_consul_name,
    )
    entry_settings = EntrySettings(
        prefix=settings.consul_namespace,
        name=name,
        bare_namespace=settings.consul_kubernetes_namespace,
    )
    logger.info("mirroring to Consul at %s as %s", settings.consul_address, name)
    return JobMirror(client, ConsulStore(settings.consul_address)), entry_settings
