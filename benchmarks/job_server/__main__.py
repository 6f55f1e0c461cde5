"""Measures the job server, with parts, sides and sizes of one's choice."""

import sys

from benchmarks.job_server import plans, sides
from benchmarks.job_server.plans import Plan
from benchmarks.options import Parser


def main() -> int:
    parser = Parser("python -m benchmarks.job_server", __doc__, Plan())
    parser.add_names({"parts": tuple(plans.PARTS), "sides": tuple(sides.LABELS)})
    parser.add_numbers(
        {
            "jobs": "how many are handed in at once",
            "rounds": "how often each side runs",
            "seconds": "how long look-ups are measured",
        }
    )
    parser.add_sizes("sizes", "ended jobs where growth is measured, ascending")
    return parser.run(lambda report, given: plans.measure(report, Plan(**given)))


if __name__ == "__main__":
    sys.exit(main())
