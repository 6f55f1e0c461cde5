"""Measures what a job costs on a cluster, with sizes, sides and operators of one's choice."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster import growth, plans, sides
from benchmarks.cluster.plans import Plan
from benchmarks.cluster.sides import HERE, Operator
from benchmarks.measuring import Report
from benchmarks.options import Parser


def _operator(text: str) -> Operator:
    name, separator, path = text.rpartition("=")
    checkout = Path(path).resolve()
    operator = Operator(name if separator else checkout.name, checkout)
    if not (operator.programs / "factotum-operator").exists():
        raise argparse.ArgumentTypeError(f"{checkout} has no .venv with the operator")
    return operator


def main() -> int:
    parser = Parser("python -m benchmarks.cluster", __doc__, Plan())
    parser.add_names(
        {"parts": tuple(plans.PARTS), "sides": sides.NAMES, "cases": tuple(growth.CASES)}
    )
    parser.add_argument(
        "--operator",
        dest="operators",
        action="append",
        type=_operator,
        metavar="[NAME=]CHECKOUT",
        help="an operator to measure, a checkout with its .venv; several take turns",
    )
    parser.add_numbers(
        {
            "jobs": "how many are made at once",
            "rounds": "how often each side runs",
            "rate": "jobs a second where latency is measured",
            "seconds": "for how long",
        }
    )
    parser.add_sizes("sizes", "jobs at rest where growth is measured, ascending")
    parser.add_argument(
        "--long",
        action="store_true",
        help="growth: also half a minute after the start, and during a sweep",
    )
    return parser.run(_measure)


def _measure(report: Report, given: dict[str, Any]) -> None:
    given["operators"] = given["operators"] or (HERE,)
    asyncio.run(plans.measure(report, Plan(**given)))


if __name__ == "__main__":
    sys.exit(main())
