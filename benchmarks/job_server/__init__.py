"""The job server beside one that is written in an afternoon: both on this machine, in one run.

Submissions a second (each checked as the runner would), look-ups a second and how long
they wait with 1, 16 and 256 clients, one-task jobs a second through 20 workers, and memory.
"""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import workloads
from benchmarks.job_server import clients
from benchmarks.measuring import Recorded, Report

WORKERS = 20
ORIGINAL = "original, on such a machine"


class Side(NamedTuple):
    """A server under measurement."""

    label: str
    port: int
    pid: int
    is_ours: bool

    def left(self, answer: dict[str, Any]) -> int:
        """Return how many jobs have not ended, from what it tells of itself."""
        if not self.is_ours:
            return int(answer["inQueue"]) + int(answer["active"])
        told = answer["dispatcher"]
        return int(told["jobs"]["inQueue"]) + int(told["workers"]["active"])


@contextlib.contextmanager
def serving(folder: Path, label: str) -> Iterator[Side]:
    """Start a server and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    factotum = workloads.program("factotum")
    is_ours = label == "factotum server"
    command = (
        [factotum, "server", f"--port={port}", "--max-jobs=100000", f"--data-dir={folder}/data"]
        if is_ours
        else [sys.executable, str(Path(__file__).parent / "naive.py"), str(port), factotum, "20"]
    )
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield Side(label, port, process.pid, is_ours)
    finally:
        process.terminate()
        process.wait()


def submissions(path: Path, count: int, first: int = 0) -> Iterator[bytes]:
    """Yield so many different jobs."""
    for number in range(first, first + count):
        args = ["--tag", f"n,{number}"]
        body = {"jobName": "bench", "factfilePath": str(path), "factfileArgs": args}
        yield clients.post("/submit", body)


def measure(report: Report, *, quick: bool) -> None:
    """Measure both servers and show them side by side."""
    seconds = 1.0 if quick else 4.0
    jobs = 60 if quick else 600
    figures: dict[str, dict[str, float]] = {}

    def note(name: str, label: str, value: float) -> None:
        figures.setdefault(name, {})[label] = value

    with workloads.folder() as folder:
        job = workloads.Job("echo")
        job.add("echo", "echo", [])
        job.write_factfile(folder / "echo.factfile")
        for label in ("factotum server", "naive"):
            (folder / label).mkdir()
            with serving(folder / label, label) as side:
                _submit(side, folder / "echo.factfile", jobs, note)
                _look_up(side, folder / "echo.factfile", seconds, note)
                if side.is_ours:
                    note("resident memory afterwards", label, _memory_mib(side.pid))
    recorded = {
        "submissions a second, 16 clients": 65.0,
        "one-task jobs a second, 20 workers": 64.0,
    }
    recorded["look-ups a second, 16 clients"] = 1700.0
    for name, values in figures.items():
        unit = "MiB" if "memory" in name else "ms" if "wait" in name or "time" in name else "/s"
        figure = recorded.get(name)
        known = None if figure is None else Recorded(ORIGINAL, figure)
        report.show(name, values, unit, recorded=known)


def _cpu_seconds(pid: int) -> float:
    """Return what a process has used, with all that it has started, ended or not."""
    total, tree = 0.0, {pid}
    fields = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields[int(path.parent.name)] = path.read_text().rpartition(") ")[2].split()
    while more := {each for each, words in fields.items() if int(words[1]) in tree} - tree:
        tree |= more
    for each in tree & fields.keys():
        total += sum(map(int, fields[each][11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _submit(side: Side, path: Path, jobs: int, note: Any) -> None:
    began, used = time.perf_counter(), _cpu_seconds(side.pid)
    pace = clients.ask_all(side.port, 16, submissions(path, jobs), 600)
    note("submissions a second, 16 clients", side.label, pace.a_second)
    clients.wait_until(side.port, lambda told: side.left(told) == 0, "/status")
    spent = time.perf_counter() - began
    note("one-task jobs a second, 20 workers", side.label, jobs / spent)
    used = _cpu_seconds(side.pid) - used
    note("processor time of a job, its check and its run", side.label, used / jobs * 1000)


def _look_up(side: Side, path: Path, seconds: float, note: Any) -> None:
    told = clients.ask_once(side.port, next(submissions(path, 1, first=-1)))
    job_id = told["message"].partition("[")[2].rstrip("]") or told["message"]
    request = clients.get(f"/check?id={job_id}")
    for count in (1, 16, 256):
        used = _cpu_seconds(side.pid)
        pace = clients.ask_all(side.port, count, itertools.repeat(request), seconds)
        used = _cpu_seconds(side.pid) - used
        who = f"{count} client{'s' if count > 1 else ''}"
        note(f"look-ups a second, {who}", side.label, pace.a_second)
        note(f"median wait for a look-up, {who}", side.label, pace.median_ms)
        note(f"processor time of a look-up, {who}", side.label, used / pace.count * 1000)
        note(f"99th percentile of that wait, {who}", side.label, pace.p99_ms)


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
