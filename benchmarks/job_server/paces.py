"""How fast answers came, side by side and over rounds, as one table for each number of clients."""

import statistics
from collections.abc import Mapping

from benchmarks.job_server.clients import SHARES, Pace
from benchmarks.measuring import Recorded, Report

CLIENTS = (1, 16, 256)
_UNITS = {"rate": "/s", "ratio": "", **{f"p{share}": "ms" for share in SHARES}, "CPU": "ms"}


class Paces:
    """Paces by what was asked, number of clients and side, one a round.

    Args:
        base: the side that ratios of rates are to: of each round, then their median.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._paces: dict[tuple[str, int], dict[str, list[Pace]]] = {}
        self._cpu: dict[tuple[str, int, str], list[float]] = {}

    def note(self, what: str, many: int, label: str, pace: Pace, cpu_ms: float = 0.0) -> None:
        """Take down what a round came to, with the server's processor time an answer."""
        self._paces.setdefault((what, many), {}).setdefault(label, []).append(pace)
        if cpu_ms:
            self._cpu.setdefault((what, many, label), []).append(cpu_ms)

    def show(self, report: Report, recorded: Mapping[str, Recorded]) -> None:
        """Show all; what was recorded elsewhere stands in the table of 16 clients."""
        for (what, many), sides in self._paces.items():
            base = sides[self._base]
            rows = {}
            for label, paces in sides.items():
                ratios = [one.a_second / it.a_second for one, it in zip(paces, base, strict=True)]
                row = {"rate": statistics.median(pace.a_second for pace in paces)}
                row["ratio"] = statistics.median(ratios)
                for share in SHARES:
                    row[f"p{share}"] = statistics.median(pace.waits_ms[share] for pace in paces)
                if cpu := self._cpu.get((what, many, label)):
                    row["CPU"] = statistics.median(cpu)
                rows[label] = row
            if many == 16 and what in recorded:
                known = recorded[what]
                ratio = known.value / rows[self._base]["rate"]
                rows[known.label] = {"rate": known.value, "ratio": ratio}
            who = f"{many} client{'s' if many > 1 else ''}"
            report.grid(f"{what}, {who}", rows, _UNITS)
