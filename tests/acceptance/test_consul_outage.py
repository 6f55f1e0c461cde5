"""Consul gone in the middle of jobs: none is delayed, and every entry is right when it is back.

Real: Consul with its data on disk, the API server with our chart, the operator's process, a test
node with the real runner.
"""

import json
import statistics
import time

import pytest

from support.acceptance import report, sized
from support.consul import ConsulProcess
from support.workbench import Workbench

pytestmark = [pytest.mark.cluster, pytest.mark.consul]

PREFIX = "com.snowplowanalytics/factotum"


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


def wrong_entries(bench, consul, jobs):
    wrong = []
    for name, job in jobs.items():
        status = job["status"]
        raw = consul.get(f"{PREFIX}/{bench.namespace}/{status['jobId']}")
        entry = json.loads(raw) if raw else {}
        seen = (entry.get("state"), entry.get("lastOutcome"))
        right_name = entry.get("jobRequest", {}).get("jobName") == f"{bench.namespace}/{name}"
        if seen != (status["state"], status["outcome"]) or not right_name:
            wrong.append(name)
    return wrong


def seconds_until_right(bench, consul, jobs):
    began = time.monotonic()
    while wrong := wrong_entries(bench, consul, jobs):
        assert time.monotonic() - began < 30, f"wrong entries 30 s after its return: {wrong}"
        time.sleep(0.1)
    return time.monotonic() - began


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
            assert seconds_until_right(bench, consul, before) < 5
            jobs, during = start_jobs(bench, "during", count, then=leave_in_the_middle)
            come_back()
            behind = seconds_until_right(bench, consul, jobs)

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
