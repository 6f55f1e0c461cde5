"""Runs the benchmarks, prints their tables, and writes each line to build/bench.jsonl."""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

import benchmarks
from benchmarks.measuring import Report

PARTS = (
    "measuring",
    "options",
    "processes",
    "workloads",
)


def find_benchmarks() -> list[str]:
    """Return the names of all benchmarks."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if not name.startswith("_") and name not in PARTS]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choices = ", ".join(find_benchmarks())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {choices}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
    parser.add_argument("--output", type=Path, default=Path("build/bench.jsonl"))
    given = parser.parse_args()
    names = given.names or find_benchmarks()
    unknown = set(names) - set(find_benchmarks())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    with given.output.open("w", encoding="utf-8") as lines:
        report = Report(sys.stdout, lines)
        for name in names:
            importlib.import_module(f"benchmarks.{name}").measure(report, quick=given.quick)
    print(f"\nall figures: {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
