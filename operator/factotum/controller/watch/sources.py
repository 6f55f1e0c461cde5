"""What is followed: FactotumJobs, their Pods and the Nodes, and where it goes in the cache."""

from collections.abc import Sequence

from factotum.controller.facts.cache import Cache
from factotum.controller.watch.reflector import Reflector, Target
from factotum.kube import names, paths
from factotum.kube.api import KubeApi, RawObject
from factotum.kube.paths import Path, Resource


class Sources:
    """Every list that the controller reads, at its start and in each sweep."""

    def __init__(self, api: KubeApi, cache: Cache, namespaces: Sequence[str]) -> None:
        self._cache = cache
        self.jobs = Reflector(
            api,
            _collections(paths.JOBS, namespaces),
            Target(
                put=cache.put_job,
                drop=lambda raw: cache.drop_job(raw["metadata"]["uid"]),
                known=lambda: {uid: _named(uid, uid) for uid in cache.jobs},
            ),
        )
        self.pods = Reflector(
            api,
            _collections(paths.PODS, namespaces),
            Target(
                put=cache.put_pod,
                drop=lambda raw: cache.drop_pod(raw["metadata"]["uid"]),
                known=lambda: {pod.uid: _named(pod.uid, pod.name) for pod in cache.pods()},
            ),
            selector=names.LABEL_JOB_UID,
        )
        self.nodes = Reflector(
            api,
            _collections(paths.NODES, ()),
            Target(
                put=cache.put_node,
                drop=lambda raw: cache.drop_node(raw["metadata"]["name"], raw["metadata"]["uid"]),
                known=lambda: {n.uid: _named(n.uid, n.name) for n in cache.nodes.values()},
            ),
        )

    async def read_everything(self) -> None:
        """Read every list: Nodes first, since jobs ask for them, then jobs, whose the Pods are.

        Raises:
            KubeError: one could not be read.
        """
        for reflector in (self.nodes, self.jobs, self.pods):
            await reflector.list()


def _collections(resource: Resource, namespaces: Sequence[str]) -> list[Path]:
    if not namespaces:
        return [paths.collection(resource)]
    return [paths.collection(resource, namespace) for namespace in namespaces]


def _named(uid: str, name: str) -> RawObject:
    return {"metadata": {"uid": uid, "name": name}}
