"""Which sides, how many jobs, how often: one run of the benchmark."""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.cluster import growth, latency, throughput
from benchmarks.cluster.ground import Ground
from benchmarks.cluster.sides import HERE, Operator
from benchmarks.measuring import Report

DEFAULT_SIDES = ("native", "factotum", "factotum-consul", "ten-tasks", "bare")
RATE_SIDES = ("native", "factotum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured; the defaults take about five minutes.

    Attributes:
        parts: names of PARTS.
        sides: of the comparison of rates, by their names in `sides`.
        operators: that sides run with, each in turn.
        jobs: how many are made at once.
        rounds: how often each side runs; every other round in reverse.
        rate: jobs a second where latency is measured.
        seconds: for how long.
        sizes: how many jobs are at rest where growth is measured.
        cases: of growth, by their names there.
        long: whether growth also looks half a minute after the start, and at a sweep.
    """

    parts: Sequence[str] = ("throughput", "latency", "growth")
    sides: Sequence[str] = DEFAULT_SIDES
    operators: Sequence[Operator] = (HERE,)
    jobs: int = 100
    rounds: int = 2
    rate: float = 8.0
    seconds: float = 30.0
    sizes: Sequence[int] = (100, 1000)
    cases: Sequence[str] = ("unique", "shared-consul")
    long: bool = False

    @classmethod
    def quick(cls) -> Self:
        """Give a plan that shows that everything works, and nothing else."""
        return cls(jobs=5, rounds=1, rate=4.0, seconds=2.0, sizes=(10,), cases=("shared-consul",))


async def measure(report: Report, plan: Plan) -> None:
    """Bring up a cluster and measure on it."""
    with tempfile.TemporaryDirectory(
        prefix="factotum-bench-", ignore_cleanup_errors=True
    ) as folder:
        async with Ground(Path(folder)) as ground:
            for part in plan.parts:
                await PARTS[part](ground, report, plan)


async def _throughput(ground: Ground, report: Report, plan: Plan) -> None:
    await throughput.measure(
        ground, report, plan.sides, plan.operators, jobs=plan.jobs, rounds=plan.rounds
    )


async def _latency(ground: Ground, report: Report, plan: Plan) -> None:
    await latency.measure(
        ground, report, RATE_SIDES, plan.operators, rate=plan.rate, seconds=plan.seconds
    )


async def _growth(ground: Ground, report: Report, plan: Plan) -> None:
    for operator in plan.operators:
        for case in plan.cases:
            await growth.measure(
                ground, report, case, operator, sizes=plan.sizes, jobs=plan.jobs, long=plan.long
            )


PARTS: dict[str, Callable[[Ground, Report, Plan], Awaitable[None]]] = {
    "throughput": _throughput,
    "latency": _latency,
    "growth": _growth,
}
