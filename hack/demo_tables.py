"""Read a FactotumJob from standard input and print what the demo shows of it.

Standard library only: `make demo` installs nothing. Usage: demo_tables.py tasks|pod|key
"""

from __future__ import annotations

import json
import sys
from typing import Any

CONSUL_NAMESPACE = "com.snowplowanalytics/factotum"  # the chart's default


def main() -> int:
    """Print one aspect of the job."""
    job = json.load(sys.stdin)
    status = job["status"]
    match sys.argv[1:]:
        case ["tasks"]:
            print_tasks(status)
        case ["pod"]:
            print(status["claim"]["podName"])
        case ["key"]:
            print(f"{CONSUL_NAMESPACE}/{status['jobId']}")
        case _:
            print("usage: demo_tables.py tasks|pod|key", file=sys.stderr)
            return 2
    return 0


def print_tasks(status: dict[str, Any]) -> None:
    """Print the job's outcome and a line for each task."""
    print(f"{status['state']}/{status['outcome']}: {status.get('message', '')}")
    rows = [("TASK", "STATE", "STARTED", "SECONDS", "CODE")]
    for task in status.get("tasks", []):
        seconds, code = task.get("durationSeconds"), task.get("returnCode")
        rows.append((
            task["name"],
            task["state"],
            task.get("startedAt", "")[11:19],
            "" if seconds is None else f"{seconds:.2f}",
            "" if code is None else str(code),
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


if __name__ == "__main__":
    sys.exit(main())
