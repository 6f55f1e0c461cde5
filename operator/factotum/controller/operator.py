"""One running operator: its parts, its start and its end.

Nothing is decided before every list was read; from then on the watches keep
the store fresh, and a sweep now and then finds what they missed.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from factotum.controller.claims.desk import Desk
from factotum.controller.claims.server import ClaimsServer
from factotum.controller.claims.tokens import TokenReviewer
from factotum.controller.mirror import feeding as mirroring
from factotum.controller.observe.hosts import NodeView, Resolver
from factotum.controller.reconcile.reconciler import Reconciler
from factotum.controller.settings import Settings
from factotum.kube import errors, names
from factotum.kube.client import KubeClient, RawObject
from factotum.kube.resource import FactotumJob

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 120.0
_POD_QUERY: Final = f"&labelSelector={names.LABEL_JOB_UID}"


class Operator:
    """Everything that runs between start-up and the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read the world, then begin to work.

        Raises:
            KubeError: the API server cannot be used; the message says how.
        """
        settings = self._settings
        self._client = await KubeClient.from_environment()
        self._resolver = Resolver(settings.dns_timeout_seconds)
        self._server = ClaimsServer(
            TokenReviewer(self._client, settings.token_audience),
            host=settings.claims_host,
            port=settings.claims_port,
        )
        await self._server.start()
        self._mirror, entries = await mirroring.connect(settings, self._client)
        self.reconciler = Reconciler(self._client, settings, self._resolver, self._mirror)
        await self._read_everything()
        store = self.reconciler.store
        self._count_holders()
        if entries is not None:
            self._mirror.start(store, entries, self._holds)
        for uid, job in store.jobs.items():
            if not job.is_done or store.pods_of(uid):
                self.reconciler.queue.add(uid)
        for uid in {pod.job_uid for pod in store.pods()} - store.jobs.keys():
            self.reconciler.queue.add(uid)
        self._server.open(Desk(self.reconciler))
        self._tasks = [
            asyncio.create_task(self.reconciler.run(), name="reconciler"),
            asyncio.create_task(self._sweep(), name="sweep"),
        ]
        logger.info("watching %d jobs", len(store.jobs))

    async def stop(self) -> None:
        """End; whatever is under way is found out again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        await self._mirror.stop()
        self._resolver.close()
        await self._client.close()

    def _count_holders(self) -> None:
        """Count everything that is seen to run, also the Pods of jobs that are gone."""
        reconciler = self.reconciler
        for job in reconciler.store.jobs.values():
            if reconciler.is_holder(job):
                reconciler.slots.hold(job.uid)
        for pod in reconciler.store.pods():
            if not pod.ended:
                reconciler.slots.hold(pod.job_uid)

    def _holds(self, job: FactotumJob) -> bool:
        return self.reconciler.slots.has(job.uid) or self.reconciler.is_holder(job)

    def failure(self) -> str | None:
        """Return why this operator is of no use any more, if it is."""
        for task in self._tasks:
            if task.done():
                return f"the {task.get_name()} has ended"
        return None

    def job_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about a FactotumJob."""
        uid = raw["metadata"]["uid"]
        if kind == "DELETED":
            job = self.reconciler.store.jobs.get(uid)
            self.reconciler.store.drop_job(uid)
            if job is not None:
                self._mirror.gone(job)
        else:
            self._mirror.note(self.reconciler.store.put_job(raw))
        self.reconciler.queue.add(uid)

    def pod_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about one of our Pods."""
        pod = self.reconciler.store.put_pod(raw)
        if pod is None:
            return
        if kind == "DELETED":
            self.reconciler.store.drop_pod(pod.job_uid, pod.uid)
        self.reconciler.queue.add(pod.job_uid)

    def node_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about a Node."""
        node = NodeView.from_raw(raw)
        if kind == "DELETED":
            self.reconciler.store.nodes.pop(node.name, None)
        else:
            self.reconciler.store.nodes[node.name] = node

    async def _sweep(self) -> None:
        """Find what the watches missed: they promise nothing."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self._read_everything()
            except errors.KubeError as exc:
                logger.warning("the sweep could not read everything: %s", exc)

    async def _read_everything(self) -> None:
        store = self.reconciler.store
        before_jobs = dict(store.jobs)
        before_pods = store.pods()
        jobs = await self._list(f"/apis/{names.API_VERSION}", names.PLURAL)
        pods = await self._list("/api/v1", "pods", _POD_QUERY)
        store.put_nodes(await self._client.list("/api/v1/nodes"))
        for raw in jobs:
            known = before_jobs.get(raw["metadata"]["uid"])
            if store.put_job(raw) is not known:
                self.reconciler.queue.add(raw["metadata"]["uid"])
        for raw in pods:
            pod = store.put_pod(raw)
            if pod is not None:
                self.reconciler.queue.add(pod.job_uid)
        listed = {raw["metadata"]["uid"] for raw in jobs}
        for uid, job in before_jobs.items():
            if uid not in listed:
                store.drop_job(uid)
                self._mirror.gone(job)
                self.reconciler.queue.add(uid)
        listed = {raw["metadata"]["uid"] for raw in pods}
        for pod in before_pods:
            if pod.uid not in listed:
                store.drop_pod(pod.job_uid, pod.uid)
                self.reconciler.queue.add(pod.job_uid)

    async def _list(self, root: str, plural: str, query: str = "") -> list[RawObject]:
        if not self._settings.namespaces:
            return await self._client.list(f"{root}/{plural}", query)
        items: list[RawObject] = []
        for namespace in self._settings.namespaces:
            items += await self._client.list(f"{root}/namespaces/{namespace}/{plural}", query)
        return items
