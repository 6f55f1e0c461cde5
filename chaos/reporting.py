"""What stays of a run: a table of figures, and the evidence of a seed that failed."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.history import History, Violation
from chaos.recording import Fact
from chaos.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one seed."""

    history: History
    violations: Sequence[Violation]
    seconds: float
    requests: Counter[str]

    @property
    def figures(self) -> dict[str, object]:
        """The line of the table."""
        history = self.history
        attempts = {(line.job, line.attempt) for line in history.lines}
        done = Counter(entry.kind for entry in history.journal if entry.kind != "deletion")
        return {
            "seed": history.plan.seed,
            "jobs": len(history.plan.jobs),
            "attempts": len(attempts),
            "task starts": sum(line.fact is Fact.STARTED for line in history.lines),
            "disturbances": done.total(),
            "requests": self.requests.total(),
            "MiB": round(history.peak_mebibytes),
            "seconds": round(self.seconds),
            "violations": len(self.violations),
        }

    def to_json(self) -> str:
        """Give every figure as one line."""
        done = Counter(entry.kind for entry in self.history.journal if entry.kind != "deletion")
        outcomes = Counter(
            f"{job['status'].get('outcome')}/{job['status'].get('reason')}"
            for job in self.history.jobs
            if job.get("status")
        )
        more = {
            "plan": self.history.plan.digest(),
            "disturbed": dict(sorted(done.items())),
            "weather": dict(sorted(self.requests.items())),
            "outcomes": dict(sorted(outcomes.items())),
            "found": [violation._asdict() for violation in self.violations],
        }
        return json.dumps(self.figures | more)


def table(results: Sequence[Result]) -> str:
    """Draw the table: a line a seed, a line for all, and the disturbances by kind."""
    rows = [result.figures for result in results]
    heads = list(rows[0])
    numbers: dict[str, list[int]] = {head: [int(str(r[head])) for r in rows] for head in heads}
    total = {head: str(sum(column)) for head, column in numbers.items()}
    total |= {"seed": "all", "MiB": str(max(numbers["MiB"]))}
    shown = [*({head: str(row[head]) for head in heads} for row in rows), total]
    lines = [heads, *([row[head] for head in heads] for row in shown)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(heads))]
    text = "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    kinds: Counter[str] = Counter()
    for result in results:
        kinds.update(e.kind for e in result.history.journal if e.kind != "deletion")
        kinds.update({f"request: {kind}": count for kind, count in result.requests.items()})
    width = max((len(kind) for kind in kinds), default=0)
    counted = "\n".join(f"  {kind.ljust(width)}  {count}" for kind, count in sorted(kinds.items()))
    return f"{text}\n\nwhat was done:\n{counted}"


def keep_folder(world: World, ground: Path, folder: Path) -> None:
    """Leave what was written while a plan ran."""
    if folder.exists():
        shutil.rmtree(folder)
    ignored = shutil.ignore_patterns("consul", "record.living")
    shutil.copytree(world.folder, folder, ignore=ignored)
    log = ground / "node" / "test-node.log"
    if log.exists():
        shutil.copy(log, folder / "test-node.log")


def keep(result: Result, world: World, ground: Path, folder: Path) -> None:
    """Leave everything by which a failure can be understood."""
    keep_folder(world, ground, folder)
    history = result.history
    (folder / "plan.json").write_text(history.plan.to_json())
    (folder / "result.json").write_text(result.to_json() + "\n")
    (folder / "violations.txt").write_text(
        "".join(f"{v.kind}: {v.subject}: {v.detail}\n" for v in result.violations)
    )
    for name, value in (
        ("jobs", list(history.jobs)),
        ("pods", list(history.pods)),
        ("told", dict(history.told)),
        ("journal", [entry._asdict() for entry in history.journal]),
        ("entries", dict(history.entries)),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")
