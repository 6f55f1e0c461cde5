"""One load: many objects made at once or at a rate, and everything that they cost."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks import processes
from benchmarks.cluster.ground import CONNECTIONS, Ground, Running
from benchmarks.cluster.sides import NATIVE, POD, Side
from test_node.api import ApiError

_AGAIN_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0
_PATIENCE_EACH_SECONDS = 4.0  # what is that slow is to be seen in the table
_TAIL_SECONDS = 2.0
"""What follows the last end (Events, caches) is paid by the load, too."""

RawObject = dict[str, Any]


@dataclass(slots=True)
class Load:
    """What a load came to; times are seconds since the epoch, by the object's UID."""

    count: int
    made: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    others: float = 0.0
    peak_mib: float = 0.0
    begun: float = 0.0

    @property
    def per_minute(self) -> float:
        """Objects a minute, from the first request to the last end."""
        return 60 * self.count / (max(self.ended.values()) - self.begun)

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Processor time an object, in milliseconds, by process."""
        return {name: 1000 * seconds / self.count for name, seconds in self.cpu.items()}

    @property
    def untold(self) -> int:
        """How many verdicts got no answer and came by the Pod's end."""
        return sum(1 for run in self.runs.values() if run.get("untold"))


async def follow(
    ground: Ground, path: str, query: str, see: Callable[[RawObject], None], up: asyncio.Event
) -> None:
    """Show every version of some objects until cancelled; a watch that ends is taken up again."""
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError, ApiError):
            listed = await ground.api.request("GET", f"{path}?{query}")
            for item in listed["items"]:
                see(item)
            up.set()
            version = listed["metadata"]["resourceVersion"]
            async for event in ground.api.watch(path, query, version):
                if event["type"] == "ERROR":
                    break
                if event["type"] != "DELETED":
                    see(event["object"])
        await asyncio.sleep(_AGAIN_SECONDS)


@contextlib.asynccontextmanager
async def _watching(
    ground: Ground, side: Side, namespace: str, load: Load, *, prefix: str, pods: bool
) -> AsyncIterator[asyncio.Event]:
    """Note when objects end and, if wanted, when their Pods are there; give the end of all."""
    all_ended = asyncio.Event()

    def see_end(item: RawObject) -> None:
        if side.kind is NATIVE and not _is_complete(item):
            return
        load.ended.setdefault(item["metadata"]["uid"], time.time())
        if load.made.keys() <= load.ended.keys() and len(load.made) == load.count:
            all_ended.set()

    def see_pod(pod: RawObject) -> None:
        for owner in pod["metadata"].get("ownerReferences") or ():
            load.started.setdefault(owner["uid"], time.time())

    query = f"fieldSelector={side.kind.ended}&labelSelector=load%3D{prefix}"
    watches = [(side.kind.path(namespace), query, see_end)]
    if pods:
        watches.append((POD.path(namespace), "", see_pod))
    tasks = []
    for path, query, see in watches:
        # What the API server does not know how to select fails here, and not for ever.
        await ground.api.request("GET", f"{path}?{query}&limit=1")
        up = asyncio.Event()
        tasks.append(asyncio.create_task(follow(ground, path, query, see, up)))
        await up.wait()
    try:
        yield all_ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_complete(job: RawObject) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


async def run(
    ground: Ground,
    side: Side,
    running: Running,
    count: int,
    *,
    rate: float | None = None,
    prefix: str = "j",
    pods: bool = False,
) -> Load:
    """Make objects and wait until all have ended.

    Args:
        ground: where.
        side: what they are.
        running: what runs for the side.
        count: how many.
        rate: how many a second; all at once without.
        prefix: of their names; their label `load`, too.
        pods: whether to note when their Pods are there.

    Raises:
        RuntimeError: some did not end.
    """
    load = Load(count)
    namespace = running.namespace
    trace = ground.trace_lines()
    async with _watching(ground, side, namespace, load, prefix=prefix, pods=pods) as all_ended:
        before, machine = processes.all_cpu_seconds(running.pids), processes.busy_seconds()
        audit = ground.audit()
        load.begun = time.time()
        names = [f"{prefix}{number:05d}" for number in range(count)]
        manifests = [side.manifest(name, {"load": prefix}) for name in names]
        await _create(ground, side, namespace, manifests, load, rate)
        if load.made.keys() <= load.ended.keys():
            all_ended.set()
        await _wait(side, running, load, all_ended)
        await _until_pods_ended(ground, namespace)
        await asyncio.sleep(_TAIL_SECONDS)
    after = processes.all_cpu_seconds(running.pids)
    load.cpu = {name: after[name] - seconds for name, seconds in before.items()}
    busy = processes.busy_seconds() - machine
    load.others = 1 - min(1.0, sum(load.cpu.values()) / busy)
    if running.operator is not None:
        load.peak_mib = processes.mebibytes(running.operator.pid, "VmHWM")
    with audit:
        requests = audit.count(namespace)
    load.requests = {client: number / count for client, number in requests.items()}
    load.runs = {line["job"]: line for line in trace.read() if line["job"] in load.made}
    return load


async def _wait(side: Side, running: Running, load: Load, all_ended: asyncio.Event) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS + load.count * _PATIENCE_EACH_SECONDS
    operator = running.operator
    while not all_ended.is_set():
        if time.monotonic() > deadline or (operator is not None and operator.has_ended()):
            left = load.made.keys() - load.ended.keys()
            last = operator.last_lines() if operator is not None else ""
            raise RuntimeError(
                f"{side.label}: {len(left)} of {load.count} did not end; last lines:\n{last}"
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await all_ended.wait()


async def _create(
    ground: Ground,
    side: Side,
    namespace: str,
    manifests: list[Mapping[str, Any]],
    load: Load,
    rate: float | None,
) -> None:
    path = side.kind.path(namespace)

    async def create(manifest: Mapping[str, Any]) -> None:
        asked = time.time()
        made = await ground.api.request("POST", path, manifest)
        load.made[made["metadata"]["uid"]] = asked

    if rate is None:
        waiting = iter(manifests)

        async def lane() -> None:
            for manifest in waiting:
                await create(manifest)

        await asyncio.gather(*(lane() for _ in range(CONNECTIONS)))
        return
    async with asyncio.TaskGroup() as group:
        for number, manifest in enumerate(manifests):
            await asyncio.sleep(max(0.0, load.begun + number / rate - time.time()))
            group.create_task(create(manifest))


async def _until_pods_ended(ground: Ground, namespace: str) -> None:
    query = "fieldSelector=status.phase!%3DSucceeded,status.phase!%3DFailed"
    await ground.until_none(f"{POD.path(namespace)}?{query}")
