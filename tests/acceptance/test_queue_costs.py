"""What a job costs the operator while many others wait: the same as while few do.

Real: the API server with our chart, the operator's process and its processor time as the kernel
counts it. The test node replays what runners say.
"""

import sys
import time

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.acceptance import report, sized
from support.cluster.clusters import ROOT
from support.cluster.operator_process import running_test_node
from support.cluster.workbench import Workbench

sys.path.append(str(ROOT))
from benchmarks.processes import cpu_seconds

pytestmark = [pytest.mark.cluster, pytest.mark.acceptance]

WORKERS = 5
FEW = 50
ONE_ID = 10
"""How many of the jobs share one job id and go one after the other."""


def cost(bench: Workbench, folder, count: int) -> dict[str, float]:
    """Make many jobs at once and give the operator's processor time for each, in ms."""
    operator = bench.operator(f"--max-workers={WORKERS}", name=f"operator-{count}")
    words = ("--replay", str(folder / f"trace-{count}"), "fake-1", "fake-2")
    with running_test_node(bench.installation, folder / f"node-{count}", *words), operator:
        before, began = cpu_seconds(operator.pid), time.monotonic()
        for number in range(count):
            name = f"job-{count}-{number}"
            factfile = make_factfile(make_task("a", command="true", arguments=[]))
            tags = {"number": "one" if number % (count // ONE_ID) == 0 else name}
            bench.create(factfile, name=name, tags=tags)
        jobs = bench.api.wait_all_done(bench.namespace, seconds=60 + count)
        spent = cpu_seconds(operator.pid) - before
        seconds = time.monotonic() - began
    mine = [job for name, job in jobs.items() if name.startswith(f"job-{count}-")]
    assert {job["status"]["outcome"] for job in mine} == {"SUCCEEDED"}
    return {"ms_a_job": 1000 * spent / count, "jobs_a_minute": 60 * count / seconds}


@pytest.mark.timeout(2400)
def test_a_job_costs_the_same_whether_few_wait_or_many(bench: Workbench, tmp_path):
    many = sized(1000, 200)
    few, much = cost(bench, tmp_path, FEW), cost(bench, tmp_path, many)
    report(
        "queue",
        waiting=many,
        few_ms_a_job=few["ms_a_job"],
        many_ms_a_job=much["ms_a_job"],
        few_jobs_a_minute=few["jobs_a_minute"],
        many_jobs_a_minute=much["jobs_a_minute"],
    )

    # The first of few pay for the start's warm-up, too.
    assert much["ms_a_job"] <= 1.3 * few["ms_a_job"]
