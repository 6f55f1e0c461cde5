"""Which parts, how many jobs, how often: one run of the benchmark."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.job_server import growth, load
from benchmarks.measuring import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured; the defaults take some eight minutes.

    Attributes:
        parts: names of PARTS.
        sides: of the load, by their names in `sides`; ratios are to the last.
        jobs: how many are handed in at once.
        rounds: how often each side runs; every other round in reverse.
        seconds: how long look-ups are measured.
        sizes: how many jobs have ended where growth is measured.
    """

    parts: Sequence[str] = ("load", "cluster", "growth")
    sides: Sequence[str] = ("ours", "share", "naive")
    jobs: int = 400
    rounds: int = 3
    seconds: float = 3.0
    sizes: Sequence[int] = (1_000, 5_000)

    @classmethod
    def quick(cls) -> Self:
        """Give a plan that shows that everything works, and nothing else."""
        return cls(jobs=20, rounds=1, seconds=0.5, sizes=(50, 100))


def measure(report: Report, plan: Plan) -> None:
    """Measure what a plan names."""
    for part in plan.parts:
        with tempfile.TemporaryDirectory(prefix="factotum-bench-") as folder:
            PARTS[part](report, Path(folder), plan)


def _load(report: Report, folder: Path, plan: Plan) -> None:
    load.measure(
        report, plan.sides, folder, jobs=plan.jobs, rounds=plan.rounds, seconds=plan.seconds
    )


def _cluster(report: Report, folder: Path, plan: Plan) -> None:
    from benchmarks.job_server import on_cluster  # noqa: PLC0415 - the others need no cluster

    on_cluster.measure(report, folder, jobs=plan.jobs, rounds=plan.rounds)


def _growth(report: Report, folder: Path, plan: Plan) -> None:
    growth.measure(report, folder, sizes=plan.sizes)


PARTS: dict[str, Callable[[Report, Path, Plan], None]] = {
    "load": _load,
    "cluster": _cluster,
    "growth": _growth,
}
