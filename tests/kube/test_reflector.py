"""List and watch: what reaches the cache, and what is done when a watch ends.

Real: the reflector, on an API in memory or on one that says what its script says.
"""

import asyncio
import contextlib

import pytest

from factotum.controller.facts.cache import Cache
from factotum.controller.watch.sources import Sources
from factotum.kube import errors, names, paths
from factotum.kube.api import Page, WatchEvent
from factotum.kube.memory import MemoryApi
from factotum.kube.reflector import Reflector, Target
from support.builders.jobs import JOB_UID, raw_job, raw_pod

HERE = paths.collection(paths.PODS, "pipelines")
THERE = paths.collection(paths.PODS, "other")
EXPIRED = errors.from_status(410, "Expired", "too old")
AWAY = errors.from_status(503, "", "away")


def pod(name, version, **more):
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    } | more


class Known:
    """A target that keeps what it is given, and remembers every word."""

    def __init__(self):
        self.objects = {}
        self.words = []

    def target(self):
        return Target(
            resource=paths.PODS,
            put=self.put,
            drop=self.drop,
            known=lambda: dict(self.objects),
            version=self.version,
        )

    def version(self, uid):
        known = self.objects.get(uid)
        return int(known["metadata"]["resourceVersion"]) if known else 0

    def put(self, raw):
        self.words.append(("put", raw["metadata"]["name"]))
        self.objects[raw["metadata"]["uid"]] = raw

    def drop(self, raw):
        self.words.append(("drop", raw["metadata"]["name"]))
        self.objects.pop(raw["metadata"]["uid"], None)

    @property
    def names(self):
        return {raw["metadata"]["name"] for raw in self.objects.values()}


class Scripted:
    """A ``KubeApi`` whose lists and watches are given one after the other, by path."""

    def __init__(self):
        self.lists = {}
        self.watches = {}
        self.asked = []

    async def pages(self, path, **_):
        self.asked.append(("list", path))
        answer = self.lists[path].pop(0)
        if isinstance(answer, Exception):
            raise answer
        for page in answer:
            yield page

    async def watch(self, path, *, resource_version, **_):
        self.asked.append((f"watch from {resource_version}", path))
        script = self.watches.get(path)
        if not script:
            await asyncio.Event().wait()
        for step in script.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


@contextlib.asynccontextmanager
async def following(reflector):
    task = asyncio.create_task(reflector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds):
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that in 5 s")


def make(api, *watched, known=None):
    known = known or Known()
    return known, Reflector(api, watched or (HERE,), known.target())


async def test_a_list_is_taken_in_chunk_by_chunk():
    api = Scripted()
    api.lists[HERE] = [[Page([pod("a", 1)], "9"), Page([pod("b", 2)], "9")]]
    known, reflector = make(api)

    await reflector.list()

    assert known.names == {"a", "b"}


async def test_what_vanished_between_two_lists_is_dropped():
    api = Scripted()
    api.lists[HERE] = [[Page([pod("a", 1), pod("b", 2)], "9")], [Page([pod("b", 2)], "12")]]
    known, reflector = make(api)
    await reflector.list()
    await reflector.list()

    assert known.names == {"b"}
    assert known.words[-1] == ("drop", "a")


async def test_what_came_while_a_list_was_read_is_not_dropped():
    api = Scripted()
    known, reflector = make(api)

    async def pages(*_, **__):
        yield Page([pod("a", 1)], "9")
        known.put(pod("new", 10))
        yield Page([pod("b", 2)], "9")

    api.pages = pages
    await reflector.list()

    assert known.names == {"a", "b", "new"}


async def test_a_list_that_breaks_off_drops_nothing():
    api = Scripted()
    known, reflector = make(api)
    known.put(pod("a", 1))
    api.lists[HERE] = [EXPIRED]

    with pytest.raises(errors.ExpiredError):
        await reflector.list()
    assert known.names == {"a"}


async def test_lists_of_several_namespaces_are_one():
    api = Scripted()
    api.lists = {
        HERE: [[Page([pod("a", 1)], "9")], [Page([pod("a", 1)], "12")]],
        THERE: [[Page([pod("b", 2)], "10")], [Page([], "13")]],
    }
    known, reflector = make(api, HERE, THERE)
    await reflector.list()
    assert known.names == {"a", "b"}

    await reflector.list()
    assert known.names == {"a"}


async def test_a_namespace_that_cannot_be_listed_costs_no_object_of_another():
    api = Scripted()
    api.lists = {
        HERE: [[Page([pod("a", 1)], "9")], [Page([], "12")]],
        THERE: [[Page([], "9")], AWAY],
    }
    known, reflector = make(api, HERE, THERE)
    await reflector.list()

    with pytest.raises(errors.UnreachableError):
        await reflector.list()
    assert known.names == {"a"}


async def test_a_watch_tells_of_comings_changes_and_goings():
    api = Scripted()
    api.lists[HERE] = [[Page([], "9")]]
    last_words = pod("a", 12, status="ended")
    api.watches[HERE] = [
        [
            WatchEvent("ADDED", pod("a", 10)),
            WatchEvent("MODIFIED", pod("a", 11)),
            WatchEvent("DELETED", last_words),
            WatchEvent("ADDED", pod("b", 13)),
        ]
    ]
    known, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await until(lambda: known.names == {"b"})

    assert known.words == [
        ("put", "a"),
        ("put", "a"),
        ("put", "a"),
        ("drop", "a"),
        ("put", "b"),
    ]


async def test_a_watch_that_ended_goes_on_from_the_last_version_bookmarks_included():
    api = Scripted()
    api.lists[HERE] = [[Page([], "9")]]
    bookmark = WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
    api.watches[HERE] = [[WatchEvent("ADDED", pod("a", 10))], [bookmark]]
    known, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await until(lambda: len(api.asked) == 4)

    assert [what for what, _ in api.asked] == [
        "list",
        "watch from 9",
        "watch from 10",
        "watch from 40",
    ]
    assert known.names == {"a"}


async def test_a_watch_that_is_too_far_behind_begins_with_a_list():
    api = Scripted()
    api.lists[HERE] = [[Page([pod("a", 1)], "9")], [Page([pod("b", 2)], "50")]]
    api.watches[HERE] = [[EXPIRED]]
    known, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await until(lambda: len(api.asked) == 4)

    assert [what for what, _ in api.asked] == ["list", "watch from 9", "list", "watch from 50"]
    assert known.names == {"b"}


async def test_a_watch_that_fails_is_tried_again_from_where_it_was_without_a_list():
    api = Scripted()
    api.lists[HERE] = [[Page([], "9")]]
    api.watches[HERE] = [[AWAY], [WatchEvent("ADDED", pod("a", 10)), AWAY]]
    _, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await until(lambda: len(api.asked) == 4)

    assert [what for what, _ in api.asked] == [
        "list",
        "watch from 9",
        "watch from 9",
        "watch from 10",
    ]


async def test_pauses_grow_while_the_server_is_away():
    api = Scripted()
    api.lists[HERE] = [[Page([], "9")]]
    api.watches[HERE] = [[AWAY]] * 50
    _, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await asyncio.sleep(1.0)

    # 0.1 to 0.3 s, 0.2 to 0.6 s, 0.4 to 1.2 s ...
    assert 3 <= len(api.asked) <= 6


async def test_a_list_that_fails_after_an_expired_watch_is_tried_again():
    api = Scripted()
    api.lists[HERE] = [[Page([pod("a", 1)], "9")], AWAY, [Page([pod("b", 2)], "50")]]
    api.watches[HERE] = [[EXPIRED]]
    known, reflector = make(api)
    await reflector.list()
    async with following(reflector):
        await until(lambda: known.names == {"b"})


async def test_one_namespaces_expired_watch_does_not_take_the_others_objects():
    api = Scripted()
    api.lists = {
        HERE: [[Page([pod("a", 1)], "9")], [Page([pod("a", 1)], "50")]],
        THERE: [[Page([pod("b", 2)], "9")], [Page([pod("b", 2)], "50")]],
    }
    api.watches = {HERE: [[EXPIRED]]}
    known, reflector = make(api, HERE, THERE)
    await reflector.list()
    async with following(reflector):
        await until(lambda: ("watch from 50", HERE) in api.asked)

    assert known.names == {"a", "b"}
    assert not [word for word in known.words if word[0] == "drop"]


async def test_an_object_that_came_by_a_watch_survives_another_paths_list():
    api = Scripted()
    api.lists = {
        HERE: [[Page([], "9")], [Page([], "50")]],
        THERE: [[Page([], "9")], [Page([pod("b", 12)], "50")]],
    }
    api.watches = {
        HERE: [[EXPIRED]],
        THERE: [[WatchEvent("ADDED", pod("b", 12))]],
    }
    known, reflector = make(api, HERE, THERE)
    await reflector.list()
    async with following(reflector):
        await until(lambda: ("watch from 50", HERE) in api.asked)

    assert known.names == {"b"}


# --- into the cache ---------------------------------------------------------------------------


async def test_a_pod_whose_label_is_taken_off_is_no_longer_known():
    api, cache = MemoryApi(), Cache()
    sources = Sources(api, cache, (), cache.drop_job)
    job, place = raw_job(), paths.pod("pipelines", raw_pod()["metadata"]["name"])
    api.put(paths.job("pipelines", "nightly"), job)
    api.put(place, raw_pod())
    api.put(paths.pod("pipelines", "stranger"), raw_pod(uid="x", name="stranger", labels={}))
    api.put(paths.item(paths.NODES, "node-a"), {"metadata": {"name": "node-a", "uid": "n"}})

    await sources.read_everything()
    assert (set(cache.jobs), set(cache.nodes)) == ({JOB_UID}, {"node-a"})
    assert [each.uid for each in cache.pods()] == ["pod-uid-1"]
    async with following(sources.pods):
        api.put(place, raw_pod(labels={}))
        await until(lambda: not cache.pods())
        api.put(place, raw_pod(labels={names.LABEL_JOB_UID: JOB_UID}))
        await until(lambda: len(cache.pods()) == 1)
        api.remove(place)
        await until(lambda: not cache.pods())


async def test_a_sweep_reads_only_what_it_does_not_know():
    api, known = MemoryApi(), Known()
    for name in ("same", "changed", "gone"):
        api.put(paths.pod("pipelines", name), raw_pod(uid=name, name=name))
    reflector = Reflector(api, [paths.collection(paths.PODS)], known.target())
    await reflector.list()
    api.put(paths.pod("pipelines", "changed"), raw_pod(uid="changed", name="changed"))
    api.put(paths.pod("pipelines", "new"), raw_pod(uid="new", name="new"))
    api.remove(paths.pod("pipelines", "gone"))
    api.requests.clear()
    known.words.clear()

    await reflector.compare()

    assert known.words == [("put", "changed"), ("put", "new"), ("drop", "gone")]
    assert [(request.method, request.path) for request in api.requests] == [
        ("LIST", "/api/v1/pods"),
        ("GET", "/api/v1/namespaces/pipelines/pods/changed"),
        ("GET", "/api/v1/namespaces/pipelines/pods/new"),
    ]
