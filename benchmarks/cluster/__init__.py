"""What a job costs on a cluster, beside native Jobs and bare Pods in the same run.

Real: the API server with its controllers, our chart with its rights, the operator, Consul, Pods
and their tokens. Played: the kubelet and, request by request, the runner (`test_node.replay`), so
that what is measured is the operator and what it asks of the cluster. ``python -m benchmarks
cluster`` takes minutes, ``python -m benchmarks.cluster --help`` says what else can be measured.
"""

import asyncio
import sys
from pathlib import Path

from benchmarks.measuring import Report

ROOT = Path(__file__).resolve().parents[2]
# What brings up clusters, operators and Consul is shared with the tests.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "hack" / "test-node")]


def measure(report: Report, *, quick: bool) -> None:
    """Measure rate, processor time, latency and growth in the usual sizes."""
    from benchmarks.cluster import plans  # noqa: PLC0415 - needs the path above

    asyncio.run(plans.measure(report, plans.Plan.quick() if quick else plans.Plan()))
