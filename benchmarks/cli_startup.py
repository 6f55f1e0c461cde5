"""What a cron line or a Pod pays before anything useful happens: commands that do little."""

from benchmarks import workloads
from benchmarks.measuring import Recorded, Report, Side


def measure(report: Report, *, quick: bool) -> None:
    """Compare short commands with an interpreter that does nothing."""
    rounds = 5 if quick else 40
    factotum = workloads.program("factotum")
    with workloads.folder() as folder:
        job = workloads.Job("echo")
        for number, after in enumerate([[], ["echo 0"], ["echo 1"]]):
            job.add(f"echo {number}", f"echo {number}", after)
        job.write_factfile(folder / "echo.factfile")
        python = Side("python3 -c pass", workloads.bare_python(), folder)
        for name, args, original in (
            ("start: --version", ["--version"], 9),
            ("start: validate", ["validate", "echo.factfile"], 8),
            ("start: run of three echoes", ["run", "echo.factfile"], 15),
        ):
            side = Side(f"factotum {name[7:]}", [factotum, *args], folder)
            recorded = Recorded(workloads.ORIGINAL, original)
            others = [python]
            if "run" in args:
                echoes = "; ".join(f'sh -c "echo {number}"' for number in range(3))
                others.append(Side("sh: the same three echoes", workloads.shell(echoes), folder))
            report.compare(name, [side, *others], rounds=rounds, recorded=recorded)
