"""How long a job takes from one step to the next while others come at a steady rate."""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.cluster import load, sides
from benchmarks.cluster.ground import Ground
from benchmarks.cluster.load import Load
from benchmarks.cluster.sides import Operator
from benchmarks.measuring import Report


async def measure(
    ground: Ground,
    report: Report,
    names: Sequence[str],
    operators: Sequence[Operator],
    *,
    rate: float,
    seconds: float,
) -> None:
    """Make jobs at a rate for a while, and show when what of them was seen."""
    count = round(rate * seconds)
    rows = {}
    for side in sides.find(names, operators):
        namespace = await ground.namespace()
        async with ground.side(side, namespace, f"--max-workers={count}") as running:
            made = await load.run(ground, side, running, count, rate=rate, pods=True)
            await ground.clear(namespace)
        rows[side.label] = _row(made)
        report.tell(", ".join(f"{key} {value:.1f}" for key, value in rows[side.label].items()))
    units = dict.fromkeys((column for row in rows.values() for column in row), "ms")
    report.grid(f"cluster: latency at {rate:g} jobs a second", rows, units)


def _row(made: Load) -> dict[str, float]:
    final = {uid: run["final"] for uid, run in made.runs.items() if "final" in run}
    row: dict[str, float] = {}
    for name, begun, ended in (
        ("to Pod", made.made, made.started),
        ("to end", made.made, made.ended),
        ("told to end", final, made.ended),
    ):
        row |= _quantiles(name, begun, ended)
    return row


def _quantiles(
    name: str, begun: Mapping[str, float], ended: Mapping[str, float]
) -> dict[str, float]:
    spans = sorted(1000 * (ended[uid] - since) for uid, since in begun.items() if uid in ended)
    if not spans:
        return {}
    return {
        f"{name} p50": statistics.median(spans),
        f"{name} p99": spans[min(len(spans) - 1, int(len(spans) * 0.99))],
    }
