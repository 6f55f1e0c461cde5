"""Boxes on one Consul of which one is lost for good, with all that ran on it, while they work."""

import contextlib
import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from support.consul.process import ConsulProcess
from support.server.boxes import KEYS
from support.server.forking import Zygote
from support.server.running import Server, factfile, job_id_of

_NAMES = ("one", "two", "lost")
_CLIENTS = 6
_END_SECONDS = 180.0


class Told(NamedTuple):
    """What became of it all.

    Attributes:
        outcomes: how Consul says that each job has ended, by its number.
        began: how often each job's task has begun.
        ended: how often it came to its end.
        at_work: jobs that Consul said the lost box might be running when it was lost.
        waiting: jobs that Consul said waited there.
        boxes: which box each job's entry is of.
        left: keys of claims that are still there.
    """

    outcomes: dict[int, str]
    began: Counter[int]
    ended: Counter[int]
    at_work: set[int]
    waiting: set[int]
    boxes: Counter[str]
    left: list[str]


def one_lost_while_working(
    zygote: Zygote,
    folder: Path,
    consul: ConsulProcess,
    *,
    jobs: int,
    workers: int,
    kills: int,
    task_seconds: float,
) -> Told:
    """Submit jobs to three boxes, lose one of them, and kill the servers of the others meanwhile.

    Args:
        workers: of each box.
        kills: how often a server of the other boxes is killed and started again.
    """
    document = factfile("sh")
    line = f"echo {{{{tag:n}}}} >> {folder}/began; sleep {task_seconds}"
    line += f"; echo {{{{tag:n}}}} >> {folder}/ended"
    document["data"]["tasks"][0]["arguments"] = ["-c", line]
    options = [f"--max-workers={workers}", f"--max-jobs={jobs}", "--takeover-after=1"]
    options.append(f"--consul-port={consul.port}")
    numbers = {job_id_of(document, n=str(number)): number for number in range(jobs)}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_server(zygote, folder, options, name)) for name in _NAMES]
        crowd = _Crowd(servers, document)
        path = servers[0].write("job.factfile", document)
        killer = threading.Thread(target=_kill, args=(servers[:2], kills))
        with ThreadPoolExecutor(_CLIENTS) as clients:
            sent = [clients.submit(crowd.submit, path, number) for number in range(jobs)]
            while sum(each.done() for each in sent) < jobs // 2:
                time.sleep(0.01)
            crowd.boxes = servers[:2]
            _lose(servers[2])
            phases = _claims_of(consul, servers[2])
            killer.start()
            for each in sent:
                each.result()
        killer.join()
        entries = {number: crowd.wait_for(job_id) for job_id, number in numbers.items()}
        deadline = time.monotonic() + 20
        while (left := consul.keys(KEYS.claims)) and time.monotonic() < deadline:
            time.sleep(0.1)
    return Told(
        outcomes={number: entry["lastOutcome"] for number, entry in entries.items()},
        began=_count(folder / "began"),
        ended=_count(folder / "ended"),
        at_work={numbers[job_id] for job_id, phase in phases.items() if phase == "launched"},
        waiting={numbers[job_id] for job_id, phase in phases.items() if phase == "waiting"},
        boxes=Counter(entry["lastRunFrom"] for entry in entries.values()),
        left=left,
    )


def _server(zygote: Zygote, folder: Path, options: list[str], name: str) -> Server:
    (folder / name).mkdir()
    return Server(zygote, folder / name, *options, f"--consul-name={name}")


class _Crowd:
    """Clients of a load balancer before the boxes."""

    def __init__(self, servers: list[Server], document: dict[str, Any]) -> None:
        self.boxes = servers
        self._document = document

    def submit(self, path: Path, number: int) -> None:
        """Submit a job once, whichever box takes it."""
        job_id = job_id_of(self._document, n=str(number))
        for at in itertools.count(number):
            boxes = self.boxes
            try:
                boxes[at % len(boxes)].submit(path, ["--tag", f"n,{number}"])
            except (OSError, ValueError, AssertionError):
                # It may have been accepted all the same: who would ask twice looks first.
                if self._ask(job_id):
                    return
            else:
                return

    def _ask(self, job_id: str) -> dict[str, Any]:
        """Return an entry as any box tells it; empty: there is none."""
        for at in itertools.count():
            boxes = self.boxes
            with contextlib.suppress(OSError, ValueError):
                answer = boxes[at % len(boxes)].ask(f"/check?id={job_id}")
                if answer.status == 200:
                    found: dict[str, Any] = json.loads(answer.body)
                    return found
                if answer.status is not None:
                    return {}
            time.sleep(0.02)
        raise AssertionError("counting has ended")

    def wait_for(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end, and return its entry."""
        deadline = time.monotonic() + _END_SECONDS
        while (entry := self._ask(job_id)).get("state") != "DONE":
            assert time.monotonic() < deadline, f"{job_id} has not ended: {entry}"
            time.sleep(0.05)
        return entry


def _kill(servers: list[Server], kills: int) -> None:
    chance = random.Random(1)  # noqa: S311 - moments, not secrets
    for kill in range(kills):
        time.sleep(chance.uniform(0.3, 2.0))
        servers[kill % len(servers)].end(signal.SIGKILL)
        servers[kill % len(servers)].start()


def _lose(server: Server) -> None:
    """Kill a server with everything that it has started."""
    assert server.process is not None
    stopped: set[int] = set()
    while found := {server.process.pid, *_below(server.process.pid)} - stopped:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped - {server.process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.end(signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from _below(child)


def _claims_of(consul: ConsulProcess, server: Server) -> dict[str, str]:
    """Return how far the jobs are that Consul says a box has, by their ids."""
    box = json.loads((server.data / "box.json").read_text())["box"]
    found = {}
    for key in consul.keys(KEYS.claims):
        claim = json.loads(consul.get(key) or b"{}")
        if claim.get("box") == box:
            found[key.rpartition("/")[2]] = claim["phase"]
    return found


def _count(path: Path) -> Counter[int]:
    return Counter(int(line) for line in path.read_text().split())
