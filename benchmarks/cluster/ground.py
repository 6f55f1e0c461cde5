"""Where sides run: a cluster of the benchmark's own, its test node, and the operators.

Everything that is started here ends here. An operator of another checkout gets that checkout's
chart, and so its definition of FactotumJobs and its rights, before it runs.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.cluster import ROOT, floor
from benchmarks.cluster.audit import Audit
from benchmarks.cluster.sides import FACTOTUM, NATIVE, POD, Operator, Side
from support.cluster import clusters, operator_process
from support.cluster.operator_process import (
    AUDIT_USER,
    OPERATOR_NAMESPACE,
    VALUES,
    OperatorProcess,
)
from support.consul.process import ConsulProcess
from test_node.api import Api, ApiError

NODES = 5
CONNECTIONS = 20
"""How many objects are created at once."""
_PUBLISH_SECONDS = 6.0
"""A changed definition is served a while later, and until then costs the API server."""
_WARM_UP_SECONDS = 1.5
"""From being ready until an operator's own watches are up."""
_CHART = Path("charts", "factotum-operator")


class Running:
    """What runs for one side: names and ids of its processes, and the operator."""

    def __init__(self, namespace: str, pids: dict[str, int]) -> None:
        self.namespace = namespace
        self.pids = pids
        self.operator: OperatorProcess | None = None


class Ground:
    """Use as an async context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleanup = contextlib.AsyncExitStack()
        self._numbers = itertools.count(1)
        self._current = ROOT
        self._kinds = [NATIVE, FACTOTUM, POD]

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._start)
            kubeconfig = self._cluster.kubeconfig
            self.api = await self._cleanup.enter_async_context(
                Api(kubeconfig, connections=CONNECTIONS)
            )
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cleanup.aclose()

    def _start(self) -> None:
        enter = self._cleanup.enter_context
        more = ("--fake-nodes", str(NODES))
        self._cluster = enter(clusters.running("bench", more=more))
        clusters.programs("helm")
        self._installation = operator_process.install(self._cluster)
        record = json.loads((self._cluster.kubeconfig.parent / "cluster.json").read_text())
        self.etcd = f"http://127.0.0.1:{record['etcd_port']}"
        self.trace = self._folder / "trace.jsonl"
        self.trace.touch()
        node = enter(
            operator_process.running_test_node(
                self._installation, self._folder / "node", "--replay", str(self.trace)
            )
        )
        self.control_plane = {
            name.removeprefix("kube-").removeprefix("controller-"): record["pids"][name]
            for name in ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
        }
        self.node = {"test node": node.pid}

    async def namespace(self) -> str:
        """Make a namespace in which Pods can be made."""
        name = f"bench-{next(self._numbers)}"
        await self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        while True:
            with contextlib.suppress(ApiError):
                path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
                await self.api.request("GET", path)
                return name
            await asyncio.sleep(0.05)

    async def clear(self, namespace: str, query: str = "") -> None:
        """Delete what a side left in its namespace, and wait until it is gone."""
        body = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        for kind in self._kinds:
            await self.api.request("DELETE", f"{kind.path(namespace)}?{query}", body)
        await self.api.request("DELETE", f"/api/v1/namespaces/{namespace}/events")
        for kind in self._kinds:
            await self.until_none(f"{kind.path(namespace)}?{query}")

    async def until_none(self, query: str) -> None:
        """Wait until a list is empty."""
        separator = "&" if "?" in query else "?"
        while True:
            with contextlib.suppress(TimeoutError):
                found = await self.api.request("GET", f"{query}{separator}limit=1")
                if not found["items"]:
                    return
            await asyncio.sleep(0.2)

    @contextlib.asynccontextmanager
    async def side(
        self, side: Side, namespace: str, *flags: str, warm_up: float = _WARM_UP_SECONDS
    ) -> AsyncIterator[Running]:
        """Run what a side needs for a namespace."""
        running = Running(namespace, self.control_plane | self.node | {"driver": os.getpid()})
        with contextlib.ExitStack() as cleanup:
            if side.operator is not None:
                await asyncio.to_thread(self.install, side.operator)
                if side.consul:
                    consul = ConsulProcess.fresh(self._folder / f"consul-{namespace}")
                    await asyncio.to_thread(consul.start)
                    cleanup.callback(consul.kill)
                    running.pids["consul"] = consul.pid
                    flags = (*flags, f"--consul-address={consul.address}")
                operator = self._operator(side.operator, namespace, flags)
                running.operator = operator
                cleanup.callback(operator.kill)
                operator.start()
                running.pids["operator"] = operator.pid
                await asyncio.to_thread(operator.wait_ready)
                await asyncio.to_thread(operator.be_asked)
                await asyncio.sleep(warm_up)
            if side.floor:
                cleanup.callback(self._installation.stop_asking())
                running.pids["operator"] = await self._floor(side, namespace, cleanup)
                await asyncio.sleep(warm_up)
            yield running

    async def _floor(self, side: Side, namespace: str, cleanup: contextlib.ExitStack) -> int:
        """Run what does the least, and give its process."""
        if side.kind not in self._kinds:
            for path, raw in floor.definition(AUDIT_USER):
                await self.api.request("POST", path, raw)
            self._kinds.append(side.kind)
            await asyncio.sleep(_PUBLISH_SECONDS)
        while True:
            with contextlib.suppress(ApiError):
                await self.api.request("GET", side.kind.path(namespace))
                break
            await asyncio.sleep(0.2)
        kubeconfig = self._folder / "floor.kubeconfig"
        kubeconfig.write_text(json.dumps(operator_process.kubeconfig(self._installation)))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.cluster.floor"),
            *(side.kind.root, side.kind.plural, namespace),
            cwd=ROOT,
            env=os.environ | {"KUBECONFIG": str(kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
        )
        cleanup.callback(_kill, process)
        assert process.stdout is not None, "it is a pipe"
        if not await process.stdout.readline():
            raise RuntimeError("the floor ended before it began; its words stand above")
        return process.pid

    def standby(self, side: Side, running: Running, *flags: str) -> OperatorProcess:
        """Prepare an operator that takes the place of the one that runs; without a Consul."""
        if side.operator is None:
            raise ValueError("this side has no operator")
        return self._operator(side.operator, running.namespace, flags, name="standby")

    def _operator(
        self, operator: Operator, namespace: str, flags: tuple[str, ...], *, name: str = "bench"
    ) -> OperatorProcess:
        return OperatorProcess(
            self._installation,
            self._folder / f"{name}-{namespace}",
            f"--namespace={namespace}",
            *flags,
            programs=operator.programs,
            identity=name,
        )

    def install(self, operator: Operator) -> None:
        """Have the cluster as an operator's checkout wants it."""
        if operator.checkout == self._current:
            return
        if _texts(operator.checkout) != _texts(self._current):
            self._cluster.run(
                *("helm", "upgrade", "factotum", str(operator.checkout / _CHART)),
                *("--namespace", OPERATOR_NAMESPACE),
                # Where the API server asks about jobs was told it for the operator before.
                "--force-conflicts",
                *(word for value in VALUES for word in ("--set", value)),
            )
            time.sleep(_PUBLISH_SECONDS)
        self._current = operator.checkout

    def audit(self) -> Audit:
        """Begin to count requests to the API server."""
        return Audit(self._installation.audit_log)

    def trace_lines(self) -> "Trace":
        """Begin to read what runners say from now on."""
        return Trace(self.trace.open())


class Trace:
    """What played runners said, and when, from a moment on."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        file.seek(0, os.SEEK_END)

    def read(self) -> Iterator[dict[str, Any]]:
        """Give one object for each run that has ended since; once."""
        with self._file:
            for line in self._file:
                yield json.loads(line)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _texts(checkout: Path) -> dict[Path, bytes]:
    files = [path for path in (checkout / _CHART).rglob("*") if path.is_file()]
    return {path.relative_to(checkout): path.read_bytes() for path in files}
