"""Runs chaos with seeds and sizes of one's choice; exit code 1 if anything was not as it must."""

import argparse
import signal
import sys
from pathlib import Path

from chaos import plan
from chaos.reporting import Result, table
from chaos.running import run_seeds


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, separator, last = part.partition("-")
        seeds += range(int(first), int(last if separator else first) + 1)
    return seeds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument(
        "--seeds", type=_seeds, default=[1], metavar="1,5-7", help="which plans (default: 1)"
    )
    parser.add_argument("--jobs", type=int, default=500, help="of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="leave out what takes a minute each")
    parser.add_argument("--plan", action="store_true", help="print the plans, run nothing")
    parser.add_argument("--output", type=Path, default=Path("build/chaos"))
    return parser


def main() -> int:
    given = _parser().parse_args()
    if given.plan:
        for seed in given.seeds:
            print(plan.draw(seed, given.jobs, quick=given.quick).to_json(), end="")
        return 0
    # As an exception, so that what was started ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: list[Result] = []
    for result in run_seeds(given.seeds, given.jobs, given.output, quick=given.quick):
        results.append(result)
        sys.stdout.flush()
    print(f"\n{table(results)}")
    return int(any(result.violations for result in results))


if __name__ == "__main__":
    sys.exit(main())
