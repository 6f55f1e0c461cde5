"""Large factfiles: each in a ConfigMap that its job owns.

The ConfigMap is made first, so that no job ever looks for one in vain; it is
made over to the job once that exists. Who dies in between leaves one without an
owner: ``tidy`` finds it, and its job, or removes it.
"""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from factotum.jobs.kubernetes.objects import manifest, naming, records
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.views import JobRequest
from factotum.kube import errors, names, paths
from factotum.kube.api import KubeApi, RawObject
from factotum.kube.resource import parse_time

logger = logging.getLogger(__name__)

_ABANDONED_SECONDS: Final = 600.0
"""A submission that takes longer has failed: its requests are given 30 s each."""


class Factfiles:
    """Keeps large factfiles.

    Args:
        api: the cluster.
        settings: where.
    """

    def __init__(self, api: KubeApi, settings: ClusterSettings) -> None:
        self._api = api
        self._namespace = settings.namespace

    async def keep(self, request: JobRequest) -> RawObject | None:
        """Make the ConfigMap for a request's factfile, if it needs one.

        Raises:
            KubeError: it could not be made.
            RefusedByPolicyError: it is too large for one.
        """
        if manifest.fits_inline(request.factfile):
            return None
        name = naming.factfile_name(request.job_id)
        body = manifest.config_map(request, namespace=self._namespace, name=name)
        collection = paths.collection(paths.CONFIG_MAPS, self._namespace)
        return await self._api.create(collection, body)

    async def text(self, name: str, key: str) -> str:
        """Read a factfile; empty if it is not there, or not one of those that are kept here.

        Others' ConfigMaps are not shown: whoever may see jobs need not be allowed to.

        Raises:
            KubeError: nobody knows.
        """
        try:
            raw = await self._api.get(paths.config_map(self._namespace, name))
        except errors.NotFoundError:
            return ""
        if not _is_ours(raw):
            return ""
        text = (raw.get("data") or {}).get(key)
        return text if isinstance(text, str) else ""

    async def hand_over(self, config_map: RawObject, job: RawObject) -> None:
        """Have a ConfigMap deleted with its job; what fails here is found by ``tidy``."""
        change = {"metadata": {"ownerReferences": [manifest.owner(job)]}}
        try:
            await self._api.merge(self._path(config_map), change)
        except errors.KubeError as error:
            logger.info("%s has no owner yet: %s", config_map["metadata"]["name"], error)

    async def discard(self, config_map: RawObject) -> None:
        """Remove a ConfigMap that no job looks for; what fails here is done by ``tidy``."""
        metadata = config_map["metadata"]
        try:
            await self._api.delete(self._path(config_map), uid=metadata["uid"])
        except errors.KubeError as error:
            logger.info("%s is not removed yet: %s", metadata["name"], error)

    async def tidy(self) -> None:
        """Hand over or remove what has no owner and is not being worked on.

        Raises:
            KubeError: not everything was looked at.
        """
        collection = paths.collection(paths.CONFIG_MAPS, self._namespace)
        selector = names.LABEL_SUBMITTED_JOB_ID
        found: list[RawObject] = []
        async for page in self._api.pages(collection, selector=selector, only_metadata=True):
            found += [raw for raw in page.items if _is_abandoned(raw)]
        for raw in found:
            job = await self._job_of(raw)
            if job is not None:
                await self.hand_over(raw, job)
            else:
                await self.discard(raw)

    async def _job_of(self, config_map: RawObject) -> RawObject | None:
        """Return the job that has its factfile there, by a live look: absence is to be sure."""
        metadata = config_map["metadata"]
        label = metadata["labels"][names.LABEL_SUBMITTED_JOB_ID]
        collection = paths.collection(paths.JOBS, self._namespace)
        selector = f"{names.LABEL_SUBMITTED_JOB_ID}={label}"
        async for page in self._api.pages(collection, selector=selector):
            for raw in page.items:
                if records.read(raw).config_map == metadata["name"]:
                    return raw
        return None

    def _path(self, config_map: RawObject) -> paths.Path:
        return paths.config_map(self._namespace, config_map["metadata"]["name"])


def _is_abandoned(raw: Any) -> bool:
    metadata = raw["metadata"]
    made = parse_time(metadata.get("creationTimestamp"))
    if metadata.get("ownerReferences") or "deletionTimestamp" in metadata or made is None:
        return False
    return _is_ours(raw) and (datetime.now(UTC) - made).total_seconds() > _ABANDONED_SECONDS


def _is_ours(raw: Any) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return labels.get(names.LABEL_MANAGED_BY) == names.SERVER
