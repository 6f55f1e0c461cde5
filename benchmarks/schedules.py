"""What the barrier between levels costs: chains that are slow at different places."""

from benchmarks import workloads
from benchmarks.measuring import Report, Side

CHAINS = 4
SLOW = "sleep 0.2"


def measure(report: Report, *, quick: bool) -> None:
    """Compare both schedules with make, which knows no levels."""
    job = workloads.Job("unbalanced")
    for row in range(CHAINS):
        for column in range(CHAINS):
            after = [f"c{column}-{row - 1}"] if row else []
            job.add(f"c{column}-{row}", SLOW if row == column else "true", after)
    factotum = workloads.program("factotum")
    with workloads.folder() as folder:
        job.write_factfile(folder / "job")
        job.write_makefile(folder / "Makefile")
        report.compare(
            f"schedule: {CHAINS} chains, each slow ({SLOW}) at another place",
            [
                Side(
                    "factotum run --schedule eager",
                    [factotum, "run", "job", "--schedule", "eager"],
                    folder,
                ),
                Side("factotum run (levels)", [factotum, "run", "job"], folder),
                Side("make -s -j", [workloads.program("make"), "-s", "-j"], folder),
            ],
            rounds=1 if quick else 5,
        )
