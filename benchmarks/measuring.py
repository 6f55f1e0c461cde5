"""Time and memory of whole processes, taken in turns, and the table that shows them.

All sides of a comparison take turns, so that a busy minute of the machine hits them
alike; what is told is the median. Memory is the largest resident size that the kernel
saw of the process or of one that it waited for. A process is started by a small one of
its own: a new process counts the size of whoever started it as its own first peak.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

STARTER = """
import os, sys, time
out = os.open(os.devnull, os.O_WRONLY)
files = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
begun = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=files)
status, used = os.wait4(pid, 0)[1:]
seconds = time.perf_counter() - begun
code = os.waitstatus_to_exitcode(status)
print(code, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


class Cost(NamedTuple):
    """What one run of a command took."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


class Side(NamedTuple):
    """One party of a comparison.

    Attributes:
        label: how it is called in the table.
        argv: the command, its program as an absolute path.
        folder: its working folder.
        exit_code: what it must end with.
        environ: what differs from this process's environment.
    """

    label: str
    argv: Sequence[str]
    folder: Path
    exit_code: int = 0
    environ: Mapping[str, str] = {}


class Recorded(NamedTuple):
    """A figure from elsewhere, shown beside what was measured here."""

    label: str
    value: float


def run(side: Side) -> Cost:
    """Run a side once, its outputs going nowhere.

    Raises:
        RuntimeError: It ended otherwise than expected.
    """
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, *side.argv],
        check=True,
        cwd=side.folder,
        env={**os.environ, **side.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    ).stdout
    code, seconds, cpu_seconds, peak_mib = map(float, told.split())
    if code != side.exit_code:
        raise RuntimeError(f"{' '.join(side.argv)} ended with {code:g}, not {side.exit_code}")
    return Cost(seconds, cpu_seconds, peak_mib)


def take_turns(sides: Sequence[Side], rounds: int) -> dict[str, list[Cost]]:
    """Run all sides by turns; one more round comes first and does not count."""
    costs: dict[str, list[Cost]] = {side.label: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides:
            cost = run(side)
            if number or not rounds:
                costs[side.label].append(cost)
    return costs


class Report:
    """Prints tables and writes one JSON object for each of their lines."""

    def __init__(self, table: IO[str], lines: IO[str]) -> None:
        self._table = table
        self._lines = lines

    def compare(
        self,
        name: str,
        sides: Sequence[Side],
        *,
        rounds: int,
        per: int = 1,
        unit: str = "ms",
        base: str | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        """Measure wall time of the sides and show it.

        Args:
            name: of the comparison.
            sides: the product first, then what it is compared with.
            rounds: how often each side runs.
            per: divide by this many pieces of work.
            unit: `s`, `ms` or `us`.
            base: label of the side that ratios are to; the second one without.
            recorded: a figure of elsewhere, in the same unit.
        """
        factor = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit] / per
        costs = take_turns(sides, rounds)
        self.show(
            name,
            {
                label: statistics.median(cost.seconds for cost in each) * factor
                for label, each in costs.items()
            },
            unit if per == 1 else f"{unit}/task",
            base=base,
            recorded=recorded,
        )

    def show(
        self,
        name: str,
        values: Mapping[str, float],
        unit: str,
        *,
        base: str | None = None,
        recorded: Recorded | None = None,
        runs: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Print figures side by side and write them down.

        Args:
            name: of the comparison.
            values: the figures by label.
            unit: theirs.
            base: label of the figure that ratios are to; the second one without.
            recorded: a figure of elsewhere, in the same unit.
            runs: what each figure is the median of, by round; a ratio is then the median of
                the rounds' own, for what else the machine does changes from round to round.
        """
        labels = list(values)
        base = base or labels[min(1, len(labels) - 1)]
        shown = {**values, recorded.label: recorded.value} if recorded else values
        self._table.write(f"\n{name}\n")
        for label, value in shown.items():
            entry = {"name": name, "side": label, "value": round(value, 4), "unit": unit}
            note = ""
            if label != base:
                ratio = value / values[base]
                if runs is not None and label in runs:
                    rounds = zip(runs[label], runs[base], strict=True)
                    ratio = statistics.median(one / other for one, other in rounds)
                entry["ratio"] = round(ratio, 4)
                note = f"x {ratio:.2f}"
            if runs is not None and len(runs.get(label, ())) > 1:
                entry["runs"] = [round(each, 4) for each in runs[label]]
                note += f"  ({min(runs[label]):.2f} to {max(runs[label]):.2f})"
            if recorded is not None and label == recorded.label:
                note += f"; the first line is x {values[labels[0]] / value:.2f} of this"
            self._table.write(f"  {label:<46} {value:>10.2f} {unit:<8} {note}\n")
            self._lines.write(json.dumps(entry) + "\n")
        self._table.flush()
        self._lines.flush()

    def tell(self, text: str) -> None:
        """Say on standard error how far a long measurement is."""
        print(f"  ... {text}", file=sys.stderr, flush=True)

    def grid(
        self, name: str, rows: Mapping[str, Mapping[str, float]], units: Mapping[str, str]
    ) -> None:
        """Print several figures for each side and write them down.

        Args:
            name: of the table.
            rows: the figures by label and column; where there is none, a dash is printed.
            units: theirs, by column; figures without one are shown to a hundredth.
        """
        columns = [column for column in units if any(column in row for row in rows.values())]
        width = [max(9, len(column)) for column in columns]
        heads = " ".join(f"{column:>{size}}" for column, size in zip(columns, width, strict=True))
        under = " ".join(
            f"{units[column]:>{size}}" for column, size in zip(columns, width, strict=True)
        )
        self._table.write(f"\n{name}\n  {'':<46} {heads}\n  {'':<46} {under}\n")
        for label, row in rows.items():
            cells = [
                f"{row[column]:>{size}.{1 if units[column] else 2}f}"
                if column in row
                else f"{'-':>{size}}"
                for column, size in zip(columns, width, strict=True)
            ]
            self._table.write(f"  {label:<46} {' '.join(cells)}\n")
            for column in columns:
                if column in row:
                    entry = {"name": name, "side": label, "column": column}
                    entry |= {"value": round(row[column], 4), "unit": units[column]}
                    self._lines.write(json.dumps(entry) + "\n")
        self._table.flush()
        self._lines.flush()
