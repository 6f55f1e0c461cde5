"""1,000 jobs on three boxes that share a Consul, of which one is lost for good on the way.

Real: the servers as processes, SIGKILL, Consul with its sessions, SQLite, the runners and
their shells. With the box all that ran on it is lost, and the other servers are killed and
started again meanwhile. Consul's own time of 20 s until a session has ended is waited for.
"""

import time

import pytest

from support.cluster.acceptance import report, sized
from support.consul.process import ConsulProcess
from support.server.losing import one_lost_while_working


@pytest.mark.consul
@pytest.mark.longer
def test_jobs_of_a_box_that_is_lost_end_truly_on_the_others(zygote, tmp_path):
    jobs, workers, kills = sized(1000, 60), sized(7, 3), sized(10, 2)
    seconds = sized(60, 80) / 100
    began = time.monotonic()
    with ConsulProcess.keeping(tmp_path / "consul") as consul:
        told = one_lost_while_working(
            zygote, tmp_path, consul, jobs=jobs, workers=workers, kills=kills, task_seconds=seconds
        )
    failed = {number for number, outcome in told.outcomes.items() if outcome == "FAILED"}
    well = told.outcomes.keys() - failed
    report(
        "10 box lost",
        jobs=jobs,
        seconds=time.monotonic() - began,
        kills=kills,
        at_work=len(told.at_work),
        taken_over=len(told.waiting),
        failed=len(failed),
        boxes=dict(told.boxes),
    )

    # None is lost, and those have failed that Consul cannot know the end of, no others.
    assert sorted(told.outcomes) == list(range(jobs))
    assert told.waiting
    assert failed == told.at_work
    assert len(failed) <= workers
    # None has begun twice, and whoever is said to have succeeded has come to its end.
    assert set(told.began.values()) == {1}
    assert set(told.ended.values()) <= {1}
    assert well <= told.began.keys()
    assert well <= told.ended.keys()
    assert not told.left
