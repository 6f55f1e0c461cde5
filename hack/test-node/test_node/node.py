"""The test node itself: watches Pods of its fake nodes and gives each a life.

As a kubelet it trusts nothing but the API server: after a broken watch it lists again.
"""

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import aiohttp

from test_node.api import Api, ApiError, RawObject
from test_node.pods import PodRun, Surroundings
from test_node.runners import Player

logger = logging.getLogger(__name__)

_FAKE_NODES = "/api/v1/nodes?labelSelector=type%3Dfake"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_LEASE_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_LOAD_CONNECTIONS = 24
_FINISHED = ("Succeeded", "Failed")


class TestNode:
    """Plays kubelet for some fake nodes; `async with`, or `start` and `stop`."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(
        self,
        kubeconfig: str | os.PathLike[str],
        nodes: Sequence[str] = (),
        *,
        runner: Sequence[str] = (str(Path(sys.executable).with_name("factotum")), "work"),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        player: Player | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            kubeconfig: of somebody who may do what kubelets do (an administrator).
            nodes: names of the fake nodes to play; none means every Node labelled type=fake
                at the start.
            runner: the command that stands for the container's `factotum work`.
            environment: laid over each Pod's variables.
            folder: where Pods' work folders and logs go; without it one that `stop` removes.
            player: plays every runner instead, for load: few connections, nothing kept.
        """
        self.runs: dict[str, PodRun] = {}
        self._kubeconfig = Path(kubeconfig)
        self._nodes = list(nodes)
        self._runner = tuple(runner)
        self._environment = dict(environment or {})
        self._given_folder = folder
        self._player = player
        self._cleanup = contextlib.AsyncExitStack()
        self._background: list[asyncio.Task[None]] = []
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._addresses = 0
        self._around: Surroundings | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect and begin to serve Pods."""
        folder = self._given_folder
        if folder is None:
            folder = Path(
                self._cleanup.enter_context(
                    tempfile.TemporaryDirectory(prefix="test-node-", ignore_cleanup_errors=True)
                )
            )
        # A burst of Pods is not to be a burst of TLS handshakes.
        connections = _LOAD_CONNECTIONS if self._player else 0
        api = await self._cleanup.enter_async_context(
            Api(self._kubeconfig, connections=connections)
        )
        if not self._nodes:
            found = await api.request("GET", _FAKE_NODES)
            self._nodes = [node["metadata"]["name"] for node in found["items"]]
        self._around = Surroundings(
            api=api,
            folder=folder,
            runner=self._runner,
            environment=self._environment,
            player=self._player,
        )
        for node in self._nodes:
            self._background.append(asyncio.create_task(self._serve(api, node)))
        self._background.append(asyncio.create_task(self._keep_leases(api)))

    async def stop(self) -> None:
        """Stop as a machine that loses power: processes die, nothing is reported."""
        tasks = [*self._background, *self._lives.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for run in self.runs.values():
            for container in run.containers:
                await container.wait()
        self._background.clear()
        self._lives.clear()
        await self._cleanup.aclose()

    def run_of(self, pod_name: str) -> PodRun:
        """Give the newest run of a Pod by its name: its containers, logs, endings."""
        found = [run for run in self.runs.values() if run.name == pod_name]
        if not found:
            raise LookupError(f"no Pod {pod_name!r} was ever bound to {', '.join(self._nodes)}")
        return found[-1]

    def kill_container(self, pod_name: str, reason: str = "OOMKilled") -> None:
        """Kill a Pod's processes, as the kernel does when memory runs out."""
        for container in self.run_of(pod_name).containers:
            container.kill(reason)

    async def _serve(self, api: Api, node: str) -> None:
        query = f"fieldSelector=spec.nodeName%3D{node}"
        while True:
            try:
                listed = await api.request("GET", f"/api/v1/pods?{query}")
                self._level(node, listed["items"])
                version = listed["metadata"]["resourceVersion"]
                async for event in api.watch("/api/v1/pods", query, version):
                    if event["type"] == "ERROR":  # mostly 410: list again
                        break
                    self._see(event["type"], event["object"])
            except (ApiError, aiohttp.ClientError, OSError) as error:
                logger.warning("watch of %s: %r", node, error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _level(self, node: str, pods: Sequence[RawObject]) -> None:
        present = {pod["metadata"]["uid"] for pod in pods}
        for pod in pods:
            self._see("ADDED", pod)
        for uid, run in self.runs.items():
            if uid not in present and run.pod["spec"]["nodeName"] == node:
                run.forget()

    def _see(self, kind: str, pod: RawObject) -> None:
        uid = pod["metadata"]["uid"]
        run = self.runs.get(uid)
        if run is not None:
            if kind == "DELETED":
                run.forget()
            else:
                run.update(pod)
        elif kind != "DELETED" and pod.get("status", {}).get("phase") not in _FINISHED:
            self._begin(uid, pod)

    def _begin(self, uid: str, pod: RawObject) -> None:
        if self._around is None:
            raise RuntimeError("the test node was not started")
        self._addresses += 1
        high, low = divmod(self._addresses % 65024, 254)
        run = PodRun(pod, self._around, f"198.18.{high}.{low + 1}")
        run.update(pod)
        self.runs[uid] = run
        life = asyncio.create_task(run.live())
        self._lives[uid] = life
        life.add_done_callback(lambda task: self._end(uid, task))

    def _end(self, uid: str, task: "asyncio.Task[None]") -> None:
        self._lives.pop(uid, None)
        if not task.cancelled() and task.exception() is not None:
            logger.error("Pod %s", self.runs[uid].path, exc_info=task.exception())
        if self._player is not None:
            self.runs.pop(uid, None)

    async def _keep_leases(self, api: Api) -> None:
        while True:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            for node in self._nodes:
                lease = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": node, "namespace": "kube-node-lease"},
                    "spec": {
                        "holderIdentity": node,
                        "leaseDurationSeconds": 40,
                        "renewTime": now,
                    },
                }
                path = f"{_LEASES}/{node}?fieldManager=test-node&force=true"
                try:
                    await api.request("PATCH", path, lease, kind="application/apply-patch+yaml")
                    await self._recover(api, node)
                except (ApiError, aiohttp.ClientError, OSError) as error:
                    logger.warning("lease of %s: %r", node, error)
            await asyncio.sleep(_LEASE_SECONDS)

    async def _recover(self, api: Api, node: str) -> None:
        """Say that a node is ready again that was given up meanwhile, as its Lease was late.

        As a kubelet, which finds that its status was changed; whoever else wrote it is let be.
        """
        path = f"/api/v1/nodes/{node}"
        conditions = (await api.request("GET", path))["status"].get("conditions") or ()
        ready: RawObject = next((each for each in conditions if each["type"] == "Ready"), {})
        if ready.get("status") == "Unknown":
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            said = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
            said |= {"lastHeartbeatTime": now, "lastTransitionTime": now}
            body = {"status": {"conditions": [said]}}
            kind = "application/strategic-merge-patch+json"
            await api.request("PATCH", f"{path}/status", body, kind=kind)
