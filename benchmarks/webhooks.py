"""What a webhook adds to a run: each event tells the states of all tasks."""

from benchmarks import workloads
from benchmarks.measuring import Report, Side, take_turns
from benchmarks.workloads import consumer


def measure(report: Report, *, quick: bool) -> None:
    """Run a level of tasks without a consumer, with a good one, and with a dead one."""
    size = 100 if quick else 1000
    factotum = workloads.program("factotum")
    with workloads.folder() as folder, consumer() as url:
        workloads.level(size).write_factfile(folder / "job")
        run = [factotum, "run", "job"]
        dead = ["--webhook", "http://127.0.0.1:1/", "--webhook-backoff", "0"]
        sides = [
            Side("with a webhook", [*run, "--webhook", url], folder),
            Side("without a webhook", run, folder),
            Side("with a dead webhook, no pauses", [*run, *dead], folder),
        ]
        costs = take_turns(sides, 1 if quick else 3)
    for what, unit, pick in (
        ("time", "s", lambda cost: cost.seconds),
        ("processor time", "s", lambda cost: cost.cpu_seconds),
        ("memory", "MiB", lambda cost: cost.peak_mib),
    ):
        values = {label: sorted(map(pick, each))[len(each) // 2] for label, each in costs.items()}
        report.show(f"webhook: {what} of a level of {size} `true`", values, unit)
