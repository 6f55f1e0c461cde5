"""What jobs that are over cost the operator: at its start, after it, and when it sweeps.

Jobs at rest are copies of one that really ran, written into etcd as they lie there: made one by one
they would take the API server minutes.
"""

import asyncio
import base64
import copy
import http.client
import json
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp

from benchmarks import processes
from benchmarks.cluster import load, sides
from benchmarks.cluster.ground import Ground, Running
from benchmarks.cluster.sides import FACTOTUM, Operator, Side
from benchmarks.measuring import Report
from factotum.core.factfile import references

CASES = {
    "unique": Side("unique ids", FACTOTUM),
    "shared": Side("one id", FACTOTUM, shared=True),
    "unique-consul": Side("unique ids, Consul", FACTOTUM, consul=True),
    "shared-consul": Side("one id, Consul", FACTOTUM, consul=True, shared=True),
}
_REGISTRY = "/registry/factotum.snowplowanalytics.com/factotumjobs"
_BATCH = 100  # etcd takes 128 writes in one
_SETTLE_SECONDS = 3.0
_POLL_SECONDS = 0.02
_WARM_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0
_SWEEP_SECONDS = 130.0  # the operator looks at everything again each 120 s
_UNITS = {
    "ready": "s",
    "RSS": "MiB",
    "VmHWM": "MiB",
    "cost": "ms/job",
    "rate": "jobs/min",
    "stall": "ms",
    "warm cost": "ms/job",
    "warm rate": "jobs/min",
    "sweep CPU": "s",
    "sweep stall": "ms",
    "takeover": "s",
}


async def measure(
    ground: Ground,
    report: Report,
    case: str,
    operator: Operator,
    *,
    sizes: Sequence[int],
    jobs: int,
    long: bool,
) -> None:
    """Start the operator over more and more jobs at rest, and give it a load at once."""
    side = sides.of_operator(CASES[case], operator)
    namespace = await ground.namespace()
    rest = await _Rest.begin(ground, side, namespace)
    rows = {}
    for size in sizes:
        await rest.fill(size)
        label = f"{size:,} at rest, {side.label}"
        rows[label] = await _look(ground, side, namespace, jobs, long=long)
        report.tell(", ".join(f"{key} {value:.1f}" for key, value in rows[label].items()))
    report.grid("cluster: growth, operator alone", rows, _UNITS)
    await rest.drop()


async def _look(
    ground: Ground, side: Side, namespace: str, jobs: int, *, long: bool
) -> dict[str, float]:
    row: dict[str, float] = {}
    begun = time.monotonic()
    async with ground.side(side, namespace, f"--max-workers={jobs}", warm_up=0) as running:
        ready = time.monotonic()
        pid = running.pids["operator"]
        row["ready"] = ready - begun
        row["RSS"] = processes.mebibytes(pid, "VmRSS")
        with stalls(running) as longest:
            cost, rate = await _load(ground, side, running, jobs, "first")
        row |= {"cost": cost, "rate": rate, "stall": longest()}
        if long:
            await asyncio.sleep(max(0.0, ready + _WARM_SECONDS - time.monotonic()))
            row["warm cost"], row["warm rate"] = await _load(ground, side, running, jobs, "warm")
            before = processes.cpu_seconds(pid)
            with stalls(running) as longest:
                await asyncio.sleep(max(0.0, ready + _SWEEP_SECONDS - time.monotonic()))
            row["sweep CPU"] = processes.cpu_seconds(pid) - before
            row["sweep stall"] = longest()
        row["VmHWM"] = processes.mebibytes(pid, "VmHWM")
        if long:
            row["takeover"] = await asyncio.to_thread(_takeover, ground, side, running)
    return row


def _takeover(ground: Ground, side: Side, running: Running) -> float:
    """Kill the operator beside one that stands by; give the seconds until that one leads."""
    if running.operator is None:
        raise ValueError("there is no operator to kill")
    standby = ground.standby(side, running)
    standby.start()
    try:
        standby.wait_ready(leading=False)
        time.sleep(_SETTLE_SECONDS)
        running.operator.kill()
        begun = time.monotonic()
        while not standby.is_leading():
            if standby.has_ended() or time.monotonic() > begun + _PATIENCE_SECONDS:
                raise RuntimeError(f"nobody took over:\n{standby.last_lines()}")
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - begun
    finally:
        # In order, so that the Lease is free for the next.
        if not standby.has_ended():
            standby.stop()


async def _load(
    ground: Ground, side: Side, running: Running, jobs: int, prefix: str
) -> tuple[float, float]:
    made = await load.run(ground, side, running, jobs, prefix=prefix)
    await ground.clear(running.namespace, f"labelSelector=load%3D{prefix}")
    return made.cpu_ms["operator"], made.per_minute


@contextmanager
def stalls(running: Running) -> Iterator[Any]:
    """Ask whether the operator is ready all the time; give the longest wait in milliseconds."""
    if running.operator is None:
        raise ValueError("there is no operator to ask")
    operator = running.operator
    stopped = threading.Event()
    longest = 0.0

    def ask() -> None:
        nonlocal longest
        connection = operator.connection(seconds=60)
        while not stopped.wait(_POLL_SECONDS):
            asked = time.monotonic()
            try:
                connection.request("GET", "/readyz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
            longest = max(longest, 1000 * (time.monotonic() - asked))
        connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield lambda: longest
    finally:
        stopped.set()
        thread.join()


class _Rest:
    """Jobs of a namespace that are over: one that ran, and its copies."""

    def __init__(self, ground: Ground, side: Side, namespace: str, original: Any) -> None:
        self._ground = ground
        self._side = side
        self._namespace = namespace
        self._original = original
        self._count = 1

    @classmethod
    async def begin(cls, ground: Ground, side: Side, namespace: str) -> "_Rest":
        """Have one job run to its end."""
        async with ground.side(side, namespace, "--max-workers=1") as running:
            await load.run(ground, side, running, 1, prefix="original")
        name = f"{_REGISTRY}/{namespace}/original00000"
        found = await _etcd(ground, "range", {"key": _coded(name.encode())})
        original = json.loads(base64.b64decode(found["kvs"][0]["value"]))
        del original["metadata"]["labels"]  # the load's
        return cls(ground, side, namespace, original)

    async def fill(self, size: int) -> None:
        """Write copies until there are so many jobs."""
        while self._count < size:
            numbers = range(self._count, min(size, self._count + _BATCH))
            await _etcd(
                self._ground,
                "txn",
                {"success": [{"requestPut": self._copy(number)} for number in numbers]},
            )
            self._count = numbers.stop
        await self._until_served()

    def _copy(self, number: int) -> dict[str, str]:
        job = copy.deepcopy(self._original)
        name = f"rest-{number:06d}"
        job["metadata"] |= {"name": name, "uid": str(uuid.uuid4())}
        if not self._side.shared:
            tags = {"number": name}
            job["spec"]["tags"] = tags
            job["status"]["jobId"] = references.job_id(job["spec"]["factfile"], tags)
        key = f"{_REGISTRY}/{self._namespace}/{name}"
        return {"key": _coded(key.encode()), "value": _coded(json.dumps(job).encode())}

    async def _until_served(self) -> None:
        path = f"{FACTOTUM.path(self._namespace)}?limit=1"
        while True:
            listed = await self._ground.api.request("GET", path)
            total = len(listed["items"]) + listed["metadata"].get("remainingItemCount", 0)
            if total >= self._count:
                break
            await asyncio.sleep(0.2)
        # The API server's caches are to have them, too, or lists are answered with 504.
        await asyncio.sleep(_SETTLE_SECONDS)

    async def drop(self) -> None:
        """Take all away, so that the next case begins with none."""
        prefix = f"{_REGISTRY}/{self._namespace}/".encode()
        after = prefix[:-1] + bytes([prefix[-1] + 1])
        await _etcd(
            self._ground, "deleterange", {"key": _coded(prefix), "range_end": _coded(after)}
        )
        # Once the API server has heard of it: until then it would delete them one by one.
        await self._ground.until_none(FACTOTUM.path(self._namespace))
        await self._ground.clear(self._namespace)


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def _etcd(ground: Ground, what: str, body: Any) -> Any:
    """Ask etcd by its JSON gateway."""
    url = urllib.parse.urljoin(ground.etcd, f"/v3/kv/{what}")
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        answer.raise_for_status()
        return await answer.json()
