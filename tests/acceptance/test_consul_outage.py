"""Consul gone in the middle of jobs: none is delayed, and every entry is right when it is back.

Real: Consul with its data on disk, the API server with our chart, the operator's process, a test
node with the real runner.
"""

import statistics
import time

import pytest

from support.cluster.acceptance import report, sized
from support.cluster.workbench import Workbench
from support.consul.entries import seconds_until_mirrored
from support.consul.process import ConsulProcess

pytestmark = [pytest.mark.cluster, pytest.mark.consul]


def start_jobs(bench, batch, count, *, then=lambda _: None):
    """Create jobs, wait for their ends, and give the seconds from creation to first task."""
    created = {}
    for number in range(count):
        name = f"{batch}-{number}"
        created[name] = time.time()
        # The middle of the run is where Consul goes away.
        bench.create(bench.book.chain(name, "true", "sleep 2", "true"), name=name)
        then(number)
    jobs = bench.api.wait_all_done(bench.namespace, seconds=90)
    starts = bench.book.first_starts()
    assert all(job["status"]["outcome"] == "SUCCEEDED" for job in jobs.values())
    return jobs, [starts[name] - moment for name, moment in created.items()]


@pytest.mark.longer
@pytest.mark.parametrize("outage", ["stopped", "frozen"])
def test_consul_outage_delays_no_job_and_leaves_no_entry_wrong(bench: Workbench, tmp_path, outage):
    count = sized(20, 8)
    middle = count // 4
    with ConsulProcess.keeping(tmp_path / "consul") as consul, bench.nodes():
        leave = consul.stop if outage == "stopped" else consul.freeze
        come_back = consul.start if outage == "stopped" else consul.thaw

        def leave_in_the_middle(number):
            if number == middle:
                leave()

        with bench.operator(f"--max-workers={count}", f"--consul-address={consul.address}"):
            before, usual = start_jobs(bench, "before", count)
            assert seconds_until_mirrored(bench, consul, before) < 5
            jobs, during = start_jobs(bench, "during", count, then=leave_in_the_middle)
            come_back()
            behind = seconds_until_mirrored(bench, consul, jobs)

    report(
        f"6 consul {outage}",
        jobs=count,
        start_usual_median=statistics.median(usual),
        start_usual_worst=max(usual),
        start_away_median=statistics.median(during),
        start_away_worst=max(during),
        entries_right=len(jobs),
        right_after_seconds=behind,
    )
    # A job may find out that Consul does not answer, which takes one second, and no more.
    assert max(during) < max(usual) + 1.5
