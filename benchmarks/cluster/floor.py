"""The least that a controller of custom resources has to do for a job, as a process.

For each new object the Pod that the operator would make, a status write when it runs and one when
it has ended, and the Event: the operator's own writes by its own client, and nothing else. No claim
and no runner, no kopf, no queue, no lock, no check, no mirror. What this costs, no operator with
these writes can go below.
"""

import asyncio
import sys
import time
from typing import Any, Final

import benchmarks.cluster  # noqa: F401 - the path of what tests share
from benchmarks.cluster import sides
from benchmarks.cluster.pods import PLAN, runner_pod
from factotum.controller.apply.events import Events
from factotum.controller.clock import SystemClock
from factotum.controller.decide import status
from factotum.controller.decide.decision import Notice
from factotum.controller.facts.pods import PodView
from factotum.controller.recording import NO_RECORDER
from factotum.kube import names, paths
from factotum.kube.client import KubeClient
from factotum.kube.paths import Path, Resource
from factotum.kube.resource import FactotumJob
from support.builders.jobs import CLAIM_ID, make_report

READY: Final = "ready"
_NAMES: Final = PLAN.task_names
_SECONDS: Final = 300
_RBAC: Final = "rbac.authorization.k8s.io"


class Floor:
    """Brings the objects of one kind and namespace to their end."""

    def __init__(self, api: KubeClient, jobs: Resource, namespace: str) -> None:
        self._api = api
        self._clock = SystemClock()
        self._events = Events(api, self._clock, NO_RECORDER)
        self._jobs = jobs
        self._namespace = namespace
        self._pods = paths.collection(paths.PODS, namespace)
        self._known: dict[str, FactotumJob] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """Work until killed."""
        jobs = paths.collection(self._jobs, self._namespace)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(group, jobs, "", "status.state=", self._made))
            group.create_task(self._follow(group, self._pods, names.LABEL_JOB_UID, "", self._moved))
            await asyncio.sleep(0.5)
            print(READY, flush=True)

    async def _follow(
        self, group: asyncio.TaskGroup, path: Path, selector: str, fields: str, see: Any
    ) -> None:
        version = (await self._api.get(path))["metadata"]["resourceVersion"]
        while True:
            async for event in self._api.watch(
                path, selector=selector, fields=fields, resource_version=version, seconds=_SECONDS
            ):
                version = event.raw["metadata"]["resourceVersion"]
                if event.kind in ("ADDED", "MODIFIED"):
                    group.create_task(see(event.raw))

    async def _made(self, raw: dict[str, Any]) -> None:
        job = FactotumJob.from_raw(raw)
        if job.uid not in self._known:
            self._known[job.uid], self._locks[job.uid] = job, asyncio.Lock()
            await self._api.create(self._pods, runner_pod(raw, sides.IMAGE))

    async def _moved(self, raw: dict[str, Any]) -> None:
        uid = raw["metadata"]["labels"][names.LABEL_JOB_UID]
        phase = raw["status"].get("phase")
        async with self._locks[uid]:
            job, now = self._known[uid], self._clock.now()
            if phase == "Running" and job.claim is None:
                pod = PodView.from_raw(raw)
                await self._write(job, status.claimed(job, PLAN, pod, CLAIM_ID, now))
            elif phase == "Succeeded" and not job.is_done:
                report = make_report(
                    "S",
                    final=True,
                    codes={0: 0},
                    seconds={0: 0.003},
                    started={0: time.time_ns() // 1_000_000},
                )
                reason, message = "Succeeded", "1/1 tasks run"
                end = status.finished(job, succeeded=True, reason=reason, message=message, now=now)
                await self._write(job, status.progressed(job, report, _NAMES) | end)
                self._events.tell(
                    self._known[uid], Notice(type="Normal", reason=reason, message=message)
                )

    async def _write(self, job: FactotumJob, patch: status.Patch) -> None:
        path = paths.item(self._jobs, job.name, job.namespace)
        raw = await self._api.patch_status(path, patch, resource_version=job.resource_version)
        self._known[job.uid] = FactotumJob.from_raw(raw)


def definition(user: str) -> list[tuple[str, dict[str, Any]]]:
    """Give what makes a kind without a schema, and a user's rights to it: paths and objects."""
    group, plural = sides.OPEN_GROUP, sides.OPEN.plural
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    state = anything | {"properties": {"state": {"type": "string"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.state"}],
        "schema": {"openAPIV3Schema": anything | {"properties": {"status": state}}},
    }
    named = {"plural": plural, "singular": plural[:-1], "kind": "OpenJob"}
    spec = {"group": group, "names": named, "scope": "Namespaced", "versions": [version]}
    rules = [{"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}]
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": group}
    subjects = [{"apiGroup": _RBAC, "kind": "User", "name": user}]
    return [
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            {"metadata": {"name": f"{plural}.{group}"}, "spec": spec},
        ),
        (f"/apis/{_RBAC}/v1/clusterroles", {"metadata": {"name": group}, "rules": rules}),
        (
            f"/apis/{_RBAC}/v1/clusterrolebindings",
            {"metadata": {"name": group}, "roleRef": role, "subjects": subjects},
        ),
    ]


async def _main(root: str, plural: str, namespace: str) -> None:
    async with await KubeClient.from_environment() as api:
        await Floor(api, Resource(root, plural), namespace).run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
