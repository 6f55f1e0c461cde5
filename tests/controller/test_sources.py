"""What is followed where: the two watches of jobs, kopf's of the new, ours of those that
have a state; namespaces; Nodes. Real: the sources and the cache, on an API in memory.
"""

import asyncio

import pytest

from factotum.controller.facts.cache import Cache
from factotum.controller.watch.sources import Sources
from factotum.kube import names, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import JOB_UID, raw_job


@pytest.mark.parametrize(
    ("kind", "version", "doubted"),
    [
        pytest.param("DELETED", "8", True, id="gone since it was seen last"),
        pytest.param("DELETED", "7", False, id="it was there as of that version"),
        pytest.param("MODIFIED", "8", False, id="a job that changed"),
    ],
)
def test_a_job_that_leaves_the_watch_of_new_ones_may_only_have_got_a_state(kind, version, doubted):
    cache, doubts = Cache(), []
    sources = Sources(MemoryApi(), cache, (), lambda *doubt: doubts.append(doubt))
    raw = raw_job(status={"state": "WORKING"})
    raw["metadata"]["resourceVersion"] = "7"
    cache.put_job(raw)

    later = raw | {"metadata": raw["metadata"] | {"resourceVersion": version}}
    sources.new_job(kind, later)

    assert doubts == ([(JOB_UID, 8)] if doubted else [])
    assert JOB_UID in cache.jobs


async def test_a_job_that_leaves_our_watch_is_not_taken_for_what_it_was():
    api, cache, doubted = MemoryApi(), Cache(), asyncio.Event()
    sources = Sources(api, cache, (), lambda *_: doubted.set())
    path = paths.job("pipelines", "nightly")
    api.put(path, raw_job(status={"state": "DONE", "outcome": "FAILED"}))
    await sources.jobs.list()
    watch = asyncio.create_task(sources.jobs.run())
    await asyncio.sleep(0)
    # The API server tells how it was, with the version that it has now.
    cleared = api.put(path, raw_job(status={}))
    async with asyncio.timeout(10):
        await doubted.wait()
    watch.cancel()

    cache.put_job(cleared)
    assert not cache.jobs[JOB_UID].is_done


async def test_only_the_namespaces_that_were_asked_for_are_read():
    api, cache = MemoryApi(), Cache()
    sources = Sources(api, cache, ("pipelines", "more"), lambda *_: None)
    await sources.read_everything()

    assert [request.path for request in api.requests] == [
        "/api/v1/nodes",
        f"/apis/{names.API_VERSION}/namespaces/pipelines/factotumjobs",
        f"/apis/{names.API_VERSION}/namespaces/more/factotumjobs",
        "/api/v1/namespaces/pipelines/pods",
        "/api/v1/namespaces/more/pods",
    ]


async def test_a_node_that_was_made_anew_under_its_name_stays_known():
    api, cache = MemoryApi(), Cache()
    sources = Sources(api, cache, (), lambda *_: None)
    node = paths.item(paths.NODES, "node-a")
    api.put(node, {"metadata": {"name": "node-a", "uid": "first"}})
    await sources.nodes.list()
    api.remove(node)
    api.put(node, {"metadata": {"name": "node-a", "uid": "second"}})

    await sources.nodes.list()

    assert cache.nodes["node-a"].uid == "second"


async def test_an_older_version_of_a_node_does_not_hide_a_newer_one():
    cache = Cache()
    node = {"metadata": {"name": "node-a", "uid": "n", "resourceVersion": "12"}}
    cordoned = {"spec": {"unschedulable": True}}
    cache.put_node(node | cordoned)
    cache.put_node({"metadata": node["metadata"] | {"resourceVersion": "11"}})

    assert cache.nodes["node-a"].unready == "it is cordoned"
