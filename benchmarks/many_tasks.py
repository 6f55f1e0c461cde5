"""Growth: time per task and per edge must not depend on how many there are."""

from benchmarks import workloads
from benchmarks.measuring import Recorded, Report, Side, take_turns

RECORDED = {
    ("chain", 5000): Recorded(workloads.ORIGINAL, 1220),
    ("level", 5000): Recorded(workloads.ORIGINAL, 720),
}


def measure(report: Report, *, quick: bool) -> None:
    """Run growing jobs, and look at growing graphs without running them."""
    factotum = workloads.program("factotum")
    sizes = [200, 400] if quick else [1000, 5000, 10_000]
    for shape, make in (("chain", workloads.chain), ("level", workloads.level)):
        with workloads.folder() as folder:
            sides = []
            for size in sizes:
                make(size).write_factfile(folder / f"{size}")
                label = f"factotum run, {shape} of {size}"
                sides.append(Side(label, [factotum, "run", f"{size}"], folder))
            costs = take_turns(sides, 0)
            per_task = {
                side.label: costs[side.label][0].seconds / size * 1e6
                for side, size in zip(sides, sizes, strict=True)
            }
            report.show(
                f"growth: {shape} of `true`",
                per_task,
                "us/task",
                base=sides[0].label,
                recorded=RECORDED.get((shape, sizes[-2])),
            )
            peaks = {side.label: costs[side.label][0].peak_mib for side in sides}
            report.show(f"memory: {shape} of `true`", peaks, "MiB", base=sides[0].label)
    _measure_dense_graphs(report, quick=quick)


def _measure_dense_graphs(report: Report, *, quick: bool) -> None:
    factotum = workloads.program("factotum")
    shapes = [(5, 10), (10, 10)] if quick else [(25, 20), (50, 20), (100, 20)]
    for command in ("dot", "validate"):
        with workloads.folder() as folder:
            sides = []
            for depth, width in shapes:
                edges = (depth - 1) * width * width
                path = f"{depth}x{width}"
                workloads.layers(depth, width).write_factfile(folder / path)
                label = f"factotum {command}, {depth} layers of {width}, {edges} edges"
                sides.append(Side(label, [factotum, command, path], folder))
            rounds = 1 if quick else 3
            name = f"growth: {command} of dense layers"
            report.compare(name, sides, rounds=rounds, base=sides[0].label)
