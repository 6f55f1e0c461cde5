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
        raw = await self._found(paths.job(namespace, name))
        if raw is None or raw["metadata"]["uid"] != uid:
            self._cache.drop_job(uid)
            return None
        return self._cache.put_job(raw)

    async def refresh(self, job: FactotumJob) -> FactotumJob | None:
        """Read a known job again."""
        return await self.job(job.namespace, job.name, job.uid)

    async def pod(self, namespace: str, name: str, uid: str) -> PodView | None:
        """Read a Pod by its UID, whatever its labels say; None if it is gone.

        Raises:
            KubeError: the API server did not say.
        """
        try:
            path = paths.pod(namespace, name)
        except paths.BadNameError:
            return None  # a claim that somebody wrote into the status: there is no such Pod
        raw = await self._found(path)
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

    async def _found(self, path: paths.Path) -> RawObject | None:
        try:
            return await self._api.get(path)
        except errors.NotFoundError:
            return None
