"""Memory must not depend on what a task prints: a flood, in lines and in one single line."""

from benchmarks import workloads
from benchmarks.measuring import Cost, Recorded, Report, Side, run
from benchmarks.workloads import consumer

MIB = 1 << 20
LINE = "a line of some eighty characters, as programs write them when they are talkative"


def measure(report: Report, *, quick: bool) -> None:
    """Let a task print a gibibyte, and show the runner's peak and its pace."""
    size = (64 if quick else 1024) * MIB
    floods = {
        "lines": f"yes '{LINE}' | head -c {size}",
        "one line": f"head -c {size} /dev/zero | tr '\\0' x",
    }
    factotum = workloads.program("factotum")
    with workloads.folder() as folder, consumer() as url:
        costs: dict[str, Cost] = {}
        for kind, flood in floods.items():
            job = workloads.Job(kind)
            job.add("flood", flood)
            path = f"{kind.replace(' ', '-')}.factfile"
            job.write_factfile(folder / path)
            base = [factotum, "run", path]
            costs[f"factotum run, {kind}"] = run(Side("", base, folder))
            costs[f"factotum run --webhook, {kind}"] = run(
                Side("", [*base, "--webhook", url], folder)
            )
            sed = f"({flood}) | sed 's/^/[flood] /'"
            costs[f"sh: piped through sed, {kind}"] = run(Side("", workloads.shell(sed), folder))
    title = f"a task prints {size // MIB} MiB"
    order = sorted(costs, key=lambda label: ("lines" not in label, label))
    report.show(
        f"memory: {title}",
        {label: costs[label].peak_mib for label in order if "sed" not in label},
        "MiB",
        recorded=Recorded(f"{workloads.ORIGINAL}, 200 MB", 535),
    )
    for kind in floods:
        seconds = {label: costs[label].seconds for label in order if label.endswith(f", {kind}")}
        sed = f"sh: piped through sed, {kind}"
        report.show(f"time: {title}, {kind}", seconds, "s", base=sed)
