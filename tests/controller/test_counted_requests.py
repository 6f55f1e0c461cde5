"""Requests are counted where they pass, by closed words. Real: everything but who answers."""

import pytest
from prometheus_client import generate_latest

from factotum.controller.metrics.figures import Figures
from factotum.controller.metrics.passing import CountedApi, CountedStore
from factotum.kube import errors, names, paths
from factotum.kube.memory import MemoryApi
from factotum.persistence.errors import (
    StoreConflictError,
    StoreRefusedError,
    StoreUnreachableError,
)
from support.builders.jobs import raw_job
from support.consul.stores import MemoryStore
from support.model.figures import read

JOB = paths.job("pipelines", "status")
"""A job whose name looks like a part of paths."""


class Counted:
    def __init__(self):
        self.figures = Figures()
        self.real = MemoryApi()
        self.api = CountedApi(self.real, self.figures)

    def requests(self):
        found = read(generate_latest(self.figures.registry).decode())
        head = "factotum_api_requests_total"
        return {labels: value for (name, labels), value in found.items() if name == head}

    def answers(self, exc):
        def refuse(_):
            raise exc

        self.real.on_request = refuse


def labels(*words):
    return tuple(sorted(words))


async def test_every_request_is_counted_by_verb_kind_of_object_and_answer():
    counted = Counted()
    counted.real.put(paths.item(paths.NAMESPACES, "pods"), {"metadata": {"name": "pods"}})
    stored = counted.real.put(JOB, raw_job(name="status", labels={}))
    version = stored["metadata"]["resourceVersion"]
    collection = paths.collection(paths.JOBS, "pipelines")

    await counted.api.get(JOB)
    assert [page.items for page in [p async for p in counted.api.pages(collection)]]
    watching = counted.api.watch(collection, resource_version="0", seconds=0)
    assert [event.kind async for event in watching] == ["ADDED"]
    patched = await counted.api.patch_status(JOB, {"state": "QUEUED"}, resource_version=version)
    assert patched["status"]["state"] == "QUEUED"
    await counted.api.create(paths.collection(paths.PODS, "pods"), {"metadata": {"name": "events"}})
    await counted.api.get(paths.pod("pods", "events"))
    await counted.api.get(paths.item(paths.NAMESPACES, "pods"))
    await counted.api.create(paths.collection(paths.TOKEN_REVIEWS), {})
    await counted.api.merge(JOB, {"spec": {}})
    await counted.api.delete(JOB, uid=stored["metadata"]["uid"])

    plural = names.PLURAL
    assert counted.requests() == {
        labels("get", plural, "200"): 1,
        labels("list", plural, "200"): 1,
        labels("watch", plural, "200"): 1,
        labels("patch", f"{plural}/status", "200"): 1,
        labels("create", "pods", "201"): 1,
        labels("get", "pods", "200"): 1,
        labels("get", "namespaces", "200"): 1,
        labels("create", "tokenreviews", "201"): 1,
        labels("patch", plural, "200"): 1,
        labels("delete", plural, "200"): 1,
    }


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (errors.from_status(404, "NotFound", "none"), "404"),
        (errors.from_status(503, "", "later"), "503"),
        (errors.UnreachableError("refused"), "none"),
        (errors.from_status(70000, "", "of a proxy's own"), "none"),
        (ValueError("a fault of ours"), "none"),
    ],
    ids=repr,
)
async def test_a_request_that_fails_is_counted_by_its_answer_and_fails(failure, code):
    counted = Counted()
    counted.answers(failure)

    with pytest.raises(type(failure)):
        await counted.api.get(JOB)
    with pytest.raises(type(failure)):
        [page async for page in counted.api.pages(paths.collection(paths.NODES))]

    assert counted.requests() == {
        labels("get", names.PLURAL, code): 1,
        labels("list", "nodes", code): 1,
    }


async def test_a_watch_that_fails_is_counted_and_fails():
    counted = Counted()
    counted.answers(errors.from_status(410, "Expired", "too old"))

    with pytest.raises(errors.ExpiredError):
        async for _ in counted.api.watch(
            paths.collection(paths.PODS), resource_version="1", seconds=0
        ):
            pass

    assert counted.requests() == {labels("watch", "pods", "410"): 1}


async def test_no_name_of_an_object_becomes_a_label():
    counted = Counted()
    for number in range(30):
        with pytest.raises(errors.NotFoundError):
            await counted.api.get(paths.job(f"space-{number}", f"name-{number}"))
        with pytest.raises(errors.NotFoundError):
            await counted.api.get(paths.Path(f"/apis/odd/v{number}/things/name-{number}"))

    assert counted.requests() == {
        labels("get", names.PLURAL, "404"): 30,
        labels("get", "other", "404"): 30,
    }


class Failing(MemoryStore):
    failure: Exception

    async def get(self, _):
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (StoreConflictError("x"), "conflict"),
        (StoreRefusedError("x"), "refused"),
        (StoreUnreachableError("x"), "unreachable"),
    ],
)
async def test_requests_to_consul_are_counted_by_how_they_ended(failure, word):
    figures, real = Figures(), Failing()
    real.failure = failure
    store = CountedStore(real, figures)

    revision = await store.put("a/b", b"{}", revision=0)
    assert (await store.entries("a"))["a/b"].revision == revision
    assert await store.probe("a/-") >= 0
    with pytest.raises(type(failure)):
        await store.get("a/b")

    told = read(generate_latest(figures.registry).decode())
    head = "factotum_consul_requests_total"
    assert {key: value for key, value in told.items() if key[0] == head} == {
        (head, labels("put", "ok")): 1,
        (head, labels("list", "ok")): 1,
        (head, labels("probe", "ok")): 1,
        (head, labels("get", word)): 1,
    }
