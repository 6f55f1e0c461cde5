"""What is followed: FactotumJobs, their Pods and the Nodes, and where it goes in the cache."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from factotum.controller.facts.cache import Cache
from factotum.kube import names, paths
from factotum.kube.api import KubeApi, RawObject
from factotum.kube.paths import Path, Resource
from factotum.kube.reflector import Reflector, Target
from factotum.kube.resource import JobUid

NEW: Final = "status.state="
"""The jobs that kopf watches, those of which nothing was said yet: each event costs a lot there."""
_TOLD_OF: Final = "status.state!="
_ALWAYS: Final = sys.maxsize


class Versioned(Protocol):
    """An object at one resource version."""

    @property
    def version(self) -> int:
        """Return it as the number it is."""


class Sources:
    """Every list that the controller reads, at its start and in each sweep.

    Args:
        doubt: is told of jobs that seem to be gone, and as of which version:
            they may only have left the one watch for the other.
    """

    def __init__(
        self,
        api: KubeApi,
        cache: Cache,
        namespaces: Sequence[str],
        doubt: Callable[[JobUid, int], None],
    ) -> None:
        self._cache = cache
        self._doubt = doubt
        self.jobs = Reflector(
            api,
            _collections(paths.JOBS, namespaces),
            Target(
                resource=paths.JOBS,
                put=cache.put_job,
                drop=lambda raw: doubt(raw["metadata"]["uid"], _ALWAYS),
                known=lambda: {uid: _named(uid, uid) for uid in cache.jobs},
                version=lambda uid: _version(cache.jobs.get(JobUid(uid))),
            ),
            fields=_TOLD_OF,
        )
        self.pods = Reflector(
            api,
            _collections(paths.PODS, namespaces),
            Target(
                resource=paths.PODS,
                put=cache.put_pod,
                drop=lambda raw: cache.drop_pod(raw["metadata"]["uid"]),
                known=lambda: {pod.uid: _named(pod.uid, pod.name) for pod in cache.pods()},
                version=lambda uid: _version(cache.pod(uid)),
            ),
            selector=names.LABEL_JOB_UID,
        )
        self.nodes = Reflector(
            api,
            _collections(paths.NODES, ()),
            Target(
                resource=paths.NODES,
                put=cache.put_node,
                drop=lambda raw: cache.drop_node(raw["metadata"]["name"], raw["metadata"]["uid"]),
                known=lambda: {n.uid: _named(n.uid, n.name) for n in cache.nodes.values()},
                version=lambda _: 0,
            ),
        )

    async def read_everything(self) -> None:
        """Read every list: Nodes first, since jobs ask for them, then jobs, whose the Pods are.

        Raises:
            KubeError: one could not be read.
        """
        for reflector in (self.nodes, self.jobs, self.pods):
            await reflector.list()

    async def sweep(self) -> None:
        """Find what the watches missed: they promise nothing.

        Raises:
            KubeError: a list could not be read.
        """
        await self.nodes.list()
        await self.jobs.compare()
        await self.pods.compare()

    def new_job(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in an event of the watch of new jobs.

        One that gets its first status leaves that watch, and that is all: it
        was there at that version, which the answer to our own write shows.
        """
        if kind != "DELETED":
            self._cache.put_job(raw)
            return
        metadata = raw["metadata"]
        known = self._cache.jobs.get(JobUid(metadata["uid"]))
        if known is not None and known.version < int(metadata["resourceVersion"]):
            self._doubt(known.uid, int(metadata["resourceVersion"]))


def _collections(resource: Resource, namespaces: Sequence[str]) -> list[Path]:
    if not namespaces:
        return [paths.collection(resource)]
    return [paths.collection(resource, namespace) for namespace in namespaces]


def _named(uid: str, name: str) -> RawObject:
    return {"metadata": {"uid": uid, "name": name}}


def _version(known: Versioned | None) -> int:
    return 0 if known is None else known.version
