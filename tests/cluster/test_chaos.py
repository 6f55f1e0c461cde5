"""Jobs end with the truth while everything around them fails: two small plans of `make chaos`.

Real: the API server with our chart, its rights and a restart of it, the operator's process with its
kills, Consul, the runner's processes on a test node; requests are lost, doubled and delayed.
"""

import sys

import pytest

from support.cluster.acceptance import report
from support.cluster.clusters import ROOT

sys.path.append(str(ROOT))
from chaos.running import run_seeds

SEEDS = (1, 2)
JOBS = 25


@pytest.mark.cluster
@pytest.mark.consul
@pytest.mark.acceptance
@pytest.mark.timeout(1200)  # it waits by what moves; this is the last resort
def test_jobs_end_with_the_truth_whatever_fails_around_them():
    results = list(run_seeds(SEEDS, JOBS, ROOT / "build" / "chaos" / "quick", quick=True))

    for result in results:
        report("chaos", **{name.replace(" ", "_"): v for name, v in result.figures.items()})
    assert [violation for result in results for violation in result.violations] == []
    assert [len(result.history.jobs) > JOBS / 2 for result in results] == [True, True]
    assert all(result.history.journal and result.requests.total() for result in results)
