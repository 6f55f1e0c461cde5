"""Measures what a job costs on a cluster, with sizes, sides and operators of one's choice."""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.cluster import growth, plans, sides
from benchmarks.cluster.plans import Plan
from benchmarks.cluster.sides import HERE, Operator
from benchmarks.measuring import Report, names_of, numbers


def _operator(text: str) -> Operator:
    name, separator, path = text.rpartition("=")
    checkout = Path(path).resolve()
    operator = Operator(name if separator else checkout.name, checkout)
    if not (operator.programs / "factotum-operator").exists():
        raise argparse.ArgumentTypeError(f"{checkout} has no .venv with the operator")
    return operator


def _parser() -> argparse.ArgumentParser:
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    for flag, known, given in (
        ("--parts", tuple(plans.PARTS), default.parts),
        ("--sides", sides.NAMES, default.sides),
        ("--cases", tuple(growth.CASES), default.cases),
    ):
        text = f"some of {', '.join(known)} (default: {','.join(given)})"
        parser.add_argument(flag, type=names_of(known), default=given, metavar="A,B", help=text)
    parser.add_argument(
        "--operator",
        dest="operators",
        action="append",
        type=_operator,
        metavar="[NAME=]CHECKOUT",
        help="an operator to measure, a checkout with its .venv; several take turns",
    )
    for flag, kind, text in (
        ("--jobs", int, "how many are made at once"),
        ("--rounds", int, "how often each side runs"),
        ("--rate", float, "jobs a second where latency is measured"),
        ("--seconds", float, "for how long"),
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
        help="jobs at rest where growth is measured, ascending (default: 100,1000)",
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="growth: also half a minute after the start, and during a sweep",
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench.jsonl"))
    return parser


def main() -> int:
    given = vars(_parser().parse_args())
    output: Path = given.pop("output")
    given["operators"] = given["operators"] or (HERE,)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8") as lines:
        asyncio.run(plans.measure(Report(sys.stdout, lines), Plan(**given)))
    print(f"\nall figures: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
