"""Rate and processor time: all jobs of a run are made at once."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.cluster import load, sides
from benchmarks.cluster.audit import READS
from benchmarks.cluster.ground import Ground
from benchmarks.cluster.load import Load
from benchmarks.cluster.sides import Operator, Side
from benchmarks.measuring import Report

_WARM_UP = 50  # jobs that do not count: a cold API server is slower
_WITHOUT = ("driver",)  # what the benchmark itself needs is no part of a job's cost


async def measure(
    ground: Ground,
    report: Report,
    names: Sequence[str],
    operators: Sequence[Operator],
    *,
    jobs: int,
    rounds: int,
) -> None:
    """Let sides take turns, every other round in reverse, and show what their jobs cost."""
    all_sides = sides.find(names, operators)
    loads: dict[str, list[Load]] = {side.label: [] for side in all_sides}
    await run(ground, all_sides[0], min(jobs, _WARM_UP))
    for number in range(rounds):
        for side in all_sides if number % 2 == 0 else reversed(all_sides):
            made = await run(ground, side, jobs)
            loads[side.label].append(made)
            report.tell(f"{side.label}: {made.per_minute:.0f}/min, {total_ms(made):.1f} ms each")
    _show(report, all_sides, loads, jobs)


async def run(ground: Ground, side: Side, jobs: int) -> Load:
    """Run one side once, with room for all its jobs."""
    namespace = await ground.namespace()
    async with ground.side(side, namespace, f"--max-workers={jobs}") as running:
        made = await load.run(ground, side, running, jobs)
        await ground.clear(namespace)
    return made


def _show(
    report: Report, all_sides: Sequence[Side], loads: Mapping[str, Sequence[Load]], jobs: int
) -> None:
    tasks = {side.label: side.tasks for side in all_sides}
    base = sides.BASE if sides.BASE in loads else all_sides[0].label

    def show(what: str, unit: str, pick: Callable[[str, Load], float]) -> None:
        runs = {label: [pick(label, each) for each in loads[label]] for label in loads}
        values = {label: statistics.median(each) for label, each in runs.items()}
        report.show(f"cluster: {what}, {jobs} at once", values, unit, base=base, runs=runs)

    show("jobs a minute", "jobs/min", lambda _, each: each.per_minute)
    if any(number > 1 for number in tasks.values()):
        show("tasks a minute", "tasks/min", lambda label, each: each.per_minute * tasks[label])
    show("processor time a job", "ms/job", lambda _, each: total_ms(each))
    rows = {label: _medians(each) for label, each in loads.items()}
    processes = {name: "ms/job" for each in loads.values() for name in each[0].cpu_ms}
    units = processes | {"VmHWM": "MiB", "untold": "runs", "others": "%"}
    report.grid("cluster: processor time a job by process", rows, units)

    asked = {label: _medians_of(each, lambda load: load.requests) for label, each in loads.items()}
    clients = sorted({client for row in asked.values() for client in row} - {READS})
    report.grid(
        "cluster: requests a job by client", asked, dict.fromkeys([*clients, READS], "a job")
    )


def total_ms(each: Load) -> float:
    """Give the processor time a job of everything but the benchmark itself."""
    return sum(value for name, value in each.cpu_ms.items() if name not in _WITHOUT)


def _medians(loads: Sequence[Load]) -> dict[str, float]:
    row = _medians_of(loads, lambda each: each.cpu_ms)
    if any(each.peak_mib for each in loads):
        row["VmHWM"] = statistics.median(each.peak_mib for each in loads)
        row["untold"] = sum(each.untold for each in loads)
    row["others"] = 100 * statistics.median(each.others for each in loads)
    return row


def _medians_of(
    loads: Sequence[Load], pick: Callable[[Load], Mapping[str, float]]
) -> dict[str, float]:
    names = {name: None for each in loads for name in pick(each)}
    return {name: statistics.median(pick(each).get(name, 0.0) for each in loads) for name in names}
