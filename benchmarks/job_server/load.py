"""How fast one server takes submissions, runs them and answers look-ups, beside others."""

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import processes
from benchmarks.job_server import clients, sides
from benchmarks.job_server.paces import CLIENTS, Paces
from benchmarks.job_server.sides import Side
from benchmarks.measuring import Recorded, Report

_ORIGINAL = "original, on such a machine"
_SUBMISSIONS, _LOOK_UPS = "job server: submissions", "job server: look-ups"
_RECORDED = {
    _SUBMISSIONS: Recorded(_ORIGINAL, 65.0),
    _LOOK_UPS: Recorded(_ORIGINAL, 1700.0),
}
_JOBS_A_SECOND = Recorded(_ORIGINAL, 64.0)
_MANY_SECONDS = 600.0


def measure(
    report: Report,
    names: Sequence[str],
    folder: Path,
    *,
    jobs: int,
    rounds: int,
    seconds: float,
) -> None:
    """Measure servers in turns, each round anew and every other one in reverse.

    Args:
        report: where figures go.
        names: of the sides; ratios are to the last.
        folder: for their files.
        jobs: how many are handed in by 16 and by 256 clients; by a single one, a quarter.
        rounds: how often.
        seconds: how long look-ups are measured with each number of clients.
    """
    path = sides.write_factfile(folder)
    base = sides.LABELS[names[-1]]
    paces = Paces(base)
    rates: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for number in range(rounds):
        for name in names[:: -1 if number % 2 else 1]:
            report.tell(f"job server, round {number + 1}: {sides.LABELS[name]}")
            with sides.running(name, folder / f"{name}-{number}") as side:
                rates.setdefault(side.label, []).append(_submit(side, path, jobs, paces))
                _look_up(side, path, seconds, paces)
                taken = processes.shared_mebibytes_of_tree(side.pid)
                memory.setdefault(side.label, []).append(taken)
    paces.show(report, _RECORDED)
    for name, unit, runs, known in (
        ("job server: one-task jobs a second, 20 workers", "/s", rates, _JOBS_A_SECOND),
        ("job server: memory of all its processes afterwards", "MiB", memory, None),
    ):
        values = {label: statistics.median(each) for label, each in runs.items()}
        report.show(name, values, unit, base=base, recorded=known, runs=runs)


def _submit(side: Side, path: Path, jobs: int, paces: Paces) -> float:
    """Hand in jobs, each time until all have run; give how many 16 clients had run a second."""
    first, rate = 0, 0.0
    for many in CLIENTS:
        count = jobs if many > 1 else max(1, jobs // 4)
        began, used = time.perf_counter(), processes.cpu_seconds_of_tree(side.pid)
        requests = sides.submissions(path, first, count)
        pace = clients.ask_all(side.port, many, requests, _MANY_SECONDS)
        side.until_idle()
        if many == 16:
            rate = count / (time.perf_counter() - began)
        used = processes.cpu_seconds_of_tree(side.pid) - used
        paces.note(_SUBMISSIONS, many, side.label, pace, used / count * 1000)
        first += count
    return rate


def _look_up(side: Side, path: Path, seconds: float, paces: Paces) -> None:
    told = clients.ask_once(side.port, next(sides.submissions(path, -1, 1)))
    job_id = told["message"].partition("[")[2].rstrip("]") or told["message"]
    side.until_idle()
    request = clients.get(f"/check?id={job_id}")
    for many in CLIENTS:
        used = processes.cpu_seconds_of_tree(side.pid)
        pace = clients.ask_all(side.port, many, itertools.repeat(request), seconds)
        used = processes.cpu_seconds_of_tree(side.pid) - used
        paces.note(_LOOK_UPS, many, side.label, pace, used / pace.count * 1000)
