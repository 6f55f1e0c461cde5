"""The two watches of jobs: kopf's of the unfinished, ours of the finished ones. Pure."""

import pytest

from factotum.controller.facts.cache import Cache
from factotum.controller.watch.sources import Sources
from factotum.kube.memory import MemoryApi
from support.jobs import JOB_UID, raw_job


@pytest.mark.parametrize(
    ("kind", "state", "doubted"),
    [
        pytest.param("DELETED", "WORKING", True, id="is a job at work still there?"),
        pytest.param("DELETED", "DONE", False, id="a job that is done left it, no more"),
        pytest.param("MODIFIED", "WORKING", False, id="a job that changed"),
    ],
)
def test_a_job_that_leaves_the_watch_of_unfinished_ones_may_only_be_done(kind, state, doubted):
    cache, doubts = Cache(), []
    sources = Sources(MemoryApi(), cache, (), doubts.append)
    raw = raw_job(status={"state": state})
    cache.put_job(raw)

    sources.unfinished_job(kind, raw)

    assert bool(doubts) is doubted
    assert JOB_UID in cache.jobs
