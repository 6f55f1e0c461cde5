"""What many jobs at rest cost one server: memory, look-ups, its lists, its next start."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import processes
from benchmarks.job_server import clients, sides
from benchmarks.measuring import Report

_SLICE = 1_000
"""Jobs handed in at once: fewer wait than the queue takes by default."""
_SECONDS = 2.0
_UNITS = {
    "RSS": "MiB",
    "all": "MiB",
    "data": "MiB",
    "jobs": "/s",
    "look-ups": "/s",
    "list p50": "ms",
    "next start": "s",
}


def measure(report: Report, folder: Path, *, sizes: Sequence[int]) -> None:
    """Run jobs until so many have ended, and look at each size.

    Args:
        report: where figures go: resident memory of the server, and of it with the processes
            that it keeps; jobs a second since the size before; look-ups with 16 clients;
            the page's list; seconds until the next server answers on that data.
        folder: for its files.
        sizes: how many jobs have ended when it is looked at, ascending.
    """
    path = sides.write_factfile(folder)
    rows: dict[str, dict[str, float]] = {}
    done = 0
    for size in sizes:
        # A new server each time: its start is one of the figures.
        port, command = sides.server_command(folder)
        begun = time.perf_counter()
        with sides.serving(command, port, folder) as pid:
            clients.ask_once(port, clients.get("/status"))
            started = time.perf_counter() - begun
            if done:
                rows[f"{done} jobs at rest"]["next start"] = started
            side = sides.Side(sides.OURS, port, pid)
            rate = _run(report, side, path, done, size)
            row = rows[f"{size} jobs at rest"] = _look(side, path, size)
            row["jobs"] = rate
            row["data"] = _mebibytes(folder / "data")
        done = size
    port, command = sides.server_command(folder)
    begun = time.perf_counter()
    with sides.serving(command, port, folder):
        clients.ask_once(port, clients.get("/status"))
        rows[f"{done} jobs at rest"]["next start"] = time.perf_counter() - begun
    report.grid("job server: growth", rows, _UNITS)


def _run(report: Report, side: sides.Side, path: Path, done: int, size: int) -> float:
    began = time.perf_counter()
    for first in range(done, size, _SLICE):
        requests = sides.submissions(path, first, min(_SLICE, size - first))
        clients.ask_all(side.port, 16, requests, 600)
        side.until_idle()
        if first % (10 * _SLICE) == 0:
            report.tell(f"job server: {first} of {size} jobs have ended")
    return (size - done) / (time.perf_counter() - began)


def _look(side: sides.Side, path: Path, size: int) -> dict[str, float]:
    (request,) = sides.submissions(path, size // 2, 1)
    # It may run again, for it has ended: what it is called is in the answer.
    job_id = clients.ask_once(side.port, request)["message"].partition("[")[2].rstrip("]")
    side.until_idle()
    look = itertools.repeat(clients.get(f"/check?id={job_id}"))
    checks = clients.ask_all(side.port, 16, look, _SECONDS)
    page = itertools.repeat(clients.get("/v1/jobs?limit=100"), 50)
    lists = clients.ask_all(side.port, 1, page, _SECONDS)
    return {
        "RSS": processes.mebibytes(side.pid, "VmRSS"),
        "all": processes.shared_mebibytes_of_tree(side.pid),
        "look-ups": checks.a_second,
        "list p50": lists.waits_ms[50],
    }


def _mebibytes(folder: Path) -> float:
    """Give what the files of a folder take up on the disk."""
    blocks = sum(path.lstat().st_blocks for path in folder.rglob("*"))
    return blocks * 512 / 2**20
