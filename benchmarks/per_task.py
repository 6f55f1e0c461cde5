"""What the runner adds to a task beyond fork and exec: many tasks that do nothing."""

from benchmarks import workloads
from benchmarks.measuring import Recorded, Report, Side


def measure(report: Report, *, quick: bool) -> None:
    """Compare a chain and a level of `true` with a shell's loop and with make."""
    rounds = 1 if quick else 7
    for job, size, script, jobs, original in (
        (workloads.chain(500), 500, "{ sh -c true; }", "-j2", 1360),
        (workloads.level(1000), 1000, "sh -c true &", "-j", 720),
    ):
        loop = f"i=0; while [ $i -lt {size} ]; do i=$((i+1)); {script.rstrip('&')}"
        loop += " & done; wait" if script.endswith("&") else "; done"
        with workloads.folder() as folder:
            job.write_factfile(folder / "job")
            job.write_makefile(folder / "Makefile")
            shape = "chain" if size == 500 else "level"
            report.compare(
                f"per task: {shape} of {size} `true`",
                [
                    Side("factotum run", [workloads.program("factotum"), "run", "job"], folder),
                    Side("sh: a plain loop", workloads.shell(loop), folder),
                    Side(f"make -s {jobs}", [workloads.program("make"), "-s", jobs], folder),
                ],
                rounds=rounds,
                per=size,
                unit="us",
                recorded=Recorded(workloads.ORIGINAL, original),
            )
