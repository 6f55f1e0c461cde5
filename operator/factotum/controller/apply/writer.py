"""Every write about jobs to the API server, and a line in the log for each step of one.

What it is answered goes into the cache at once. Whoever calls it for a job
holds that job's lock.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from factotum.controller import log
from factotum.controller.apply.events import Events
from factotum.controller.apply.injection import mounts_image
from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.apply.refusals import refusal_of
from factotum.controller.clock import Clock
from factotum.controller.decide.decision import Notice
from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import HostFact, Plan, PodRefusal
from factotum.controller.facts.pods import PodView
from factotum.controller.recording import NO_RECORDER, Recorder
from factotum.controller.settings import Settings
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi
from factotum.kube.resource import FactotumJob

logger = logging.getLogger(__name__)

_EVENT_SECONDS: Final = 2.0
"""How long the end of the operator waits for Events under way."""


@dataclass(frozen=True, slots=True)
class NameTaken:
    """The Pod's name belongs to a Pod that is not ours, or of no use any more."""


class Writer:
    """Writes statuses, Pods and Events, and deletes jobs that are over."""

    def __init__(
        self,
        api: KubeApi,
        cache: Cache,
        settings: Settings,
        clock: Clock,
        authorities: Callable[[], str],
        recorder: Recorder = NO_RECORDER,
    ) -> None:
        self._api = api
        self._cache = cache
        self._settings = settings
        self._authorities = authorities
        self._events = Events(api, clock, recorder)

    async def patch(self, job: FactotumJob, patch: Mapping[str, Any]) -> FactotumJob:
        """Write a job's status and return its new version.

        Raises:
            ConflictError: the job changed meanwhile: read it live.
            NotFoundError: it is gone, and dropped from the cache.
            KubeError: the outcome is unknown, or it was refused.
        """
        try:
            raw = await self._api.patch_status(
                paths.job(job.namespace, job.name), patch, resource_version=job.resource_version
            )
        except errors.NotFoundError:
            self._cache.drop_job(job.uid)
            raise
        written = self._cache.put_job(raw)
        if "state" in patch:
            log.of(logger, job, patch.get("attempt")).info(
                "%s %s: %s", patch["state"], patch["reason"], patch["message"]
            )
        return written

    async def create_pod(
        self, job: FactotumJob, plan: Plan, host: HostFact
    ) -> PodView | PodRefusal | NameTaken:
        """Create the Pod of the job's current launch, or find that it is there already."""
        manifest = build_runner_pod(
            job,
            plan,
            host,
            self._settings,
            self._authorities(),
            mounts_image=mounts_image(self._settings, self._cache.nodes, host),
        )
        try:
            raw = await self._api.create(paths.collection(paths.PODS, job.namespace), manifest)
        except errors.AlreadyExistsError:
            try:
                return await self._adopt(job, manifest["metadata"]["name"])
            except errors.KubeError as exc:
                return refusal_of(exc)
        except errors.KubeError as exc:
            return refusal_of(exc)
        return self._cache.made_pod(raw)

    async def _adopt(self, job: FactotumJob, name: str) -> PodView | NameTaken:
        """Take on the Pod of that name if an earlier request of ours made it."""
        raw = await self._api.get(paths.pod(job.namespace, name))
        pod = self._cache.put_pod(raw)
        return pod if pod.belongs_to(job) and pod.launch == job.launch else NameTaken()

    async def delete_pod(self, pod: PodView) -> None:
        """Delete one Pod, by its UID."""
        try:
            await self._api.delete(paths.pod(pod.namespace, pod.name), uid=pod.uid)
        except (errors.NotFoundError, errors.ConflictError):
            self._cache.drop_pod(pod.uid)

    async def delete_job(self, job: FactotumJob) -> None:
        """Delete a finished job, its Pods with it, if it is still what it was.

        Raises:
            ConflictError: it changed, and is perhaps finished no more.
            KubeError: whether it was deleted is unknown, or it was refused.
        """
        path = paths.job(job.namespace, job.name)
        try:
            await self._api.delete(path, uid=job.uid, resource_version=job.resource_version)
        except errors.NotFoundError:
            self._cache.drop_job(job.uid)
        log.of(logger, job).info("deleted, its time is over")

    def record(self, job: FactotumJob, notice: Notice) -> None:
        """Record an Event, without waiting for it."""
        self._events.tell(job, notice)

    async def settle(self) -> None:
        """Have the last Events recorded, for a moment at most."""
        await self._events.settle(_EVENT_SECONDS)

    def close(self) -> None:
        """Give up what is still being recorded."""
        self._events.close()
