"""Reading live what the cache cannot prove: whether an object is still there, and which."""

from collections.abc import Mapping
from typing import Any

from factotum.controller.facts.cache import Cache
from factotum.controller.facts.pods import PodView
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi, RawObject
from factotum.kube.resource import FactotumJob, JobUid


class Live:
    """Reads of single objects; what they show goes into the cache."""

    def __init__(self, api: KubeApi, cache: Cache) -> None:
        self._api = api
        self._cache = cache

    async def job(self, namespace: str, name: str, uid: JobUid) -> FactotumJob | None:
        """Read a job; None if it is gone, or another one has its name.

        Raises:
            KubeError: the API server did not say.
        """
        raw = await self._named(paths.JOBS, namespace, name)
        if raw is None or raw["metadata"]["uid"] != uid:
            known = self._cache.jobs.get(uid)
            # Who asks may have made up where it is: that takes no job of another place away.
            if known is not None and (known.namespace, known.name) == (namespace, name):
                self._cache.drop_job(uid)
            return None
        return self._cache.put_job(raw)

    async def refresh(self, job: FactotumJob) -> FactotumJob | None:
        """Read a known job again."""
        return await self.job(job.namespace, job.name, job.uid)

    async def whole_status(self, job: FactotumJob) -> Mapping[str, Any] | None:
        """Read all of a status of which the cache keeps a part; None if the job has changed.

        Raises:
            KubeError: the API server did not say.
        """
        raw = await self._named(paths.JOBS, job.namespace, job.name)
        if raw is None or raw["metadata"]["uid"] != job.uid:
            self._cache.drop_job(job.uid)
            return None
        self._cache.put_job(raw)
        is_same = raw["metadata"]["resourceVersion"] == job.resource_version
        return dict(raw.get("status") or {}) if is_same else None

    async def pod(self, namespace: str, name: str, uid: str) -> PodView | None:
        """Read a Pod by its UID, whatever its labels say; None if it is gone.

        Raises:
            KubeError: the API server did not say.
        """
        raw = await self._named(paths.PODS, namespace, name)
        if raw is None or raw["metadata"]["uid"] != uid:
            return None
        return self._cache.put_pod(raw)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read a ConfigMap; None if there is none of that name.

        Raises:
            KubeError: the API server did not say.
            BadNameError: no ConfigMap could have that name.
        """
        return await self._found(paths.item(paths.CONFIG_MAPS, name, namespace))

    async def _named(self, resource: paths.Resource, namespace: str, name: str) -> RawObject | None:
        """Read an object by a name that somebody wrote into an owner reference or a status."""
        try:
            path = paths.item(resource, name, namespace)
        except paths.BadNameError:
            return None
        return await self._found(path)

    async def _found(self, path: paths.Path) -> RawObject | None:
        try:
            return await self._api.get(path)
        except errors.NotFoundError:
            return None
