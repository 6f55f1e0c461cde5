"""Measures the job server, with parts, sides and sizes of one's choice."""

import argparse
import sys
from pathlib import Path

from benchmarks.job_server import plans, sides
from benchmarks.job_server.plans import Plan
from benchmarks.measuring import Report, names_of, numbers


def _parser() -> argparse.ArgumentParser:
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job_server", description=__doc__)
    for flag, known, given in (
        ("--parts", tuple(plans.PARTS), default.parts),
        ("--sides", tuple(sides.LABELS), default.sides),
    ):
        text = f"some of {', '.join(known)} (default: {','.join(given)})"
        parser.add_argument(flag, type=names_of(known), default=given, metavar="A,B", help=text)
    for flag, kind, text in (
        ("--jobs", int, "how many are handed in at once"),
        ("--rounds", int, "how often each side runs"),
        ("--seconds", float, "how long look-ups are measured"),
    ):
        given = getattr(default, flag[2:])
        parser.add_argument(
            flag, type=kind, default=given, metavar="N", help=f"{text} (default: {given})"
        )
    parser.add_argument(
        "--sizes",
        type=numbers,
        default=default.sizes,
        metavar="N,M",
        help="ended jobs where growth is measured, ascending (default: 1000,5000)",
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench.jsonl"))
    return parser


def main() -> int:
    given = vars(_parser().parse_args())
    output: Path = given.pop("output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8") as lines:
        plans.measure(Report(sys.stdout, lines), Plan(**given))
    print(f"\nall figures: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
