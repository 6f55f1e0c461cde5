"""The API server in a few dictionaries answers as the real one does, as far as it goes."""

import asyncio

import pytest

from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi, merge

A = paths.pod("pipelines", "a")
B = paths.pod("pipelines", "b")
ELSEWHERE = paths.pod("other", "a")
EVERYWHERE = paths.collection(paths.PODS)
HERE = paths.collection(paths.PODS, "pipelines")


def raw(name="a", labels=None, **more):
    return {"metadata": {"name": name, "labels": labels or {}}} | more


async def listed(api, path, selector=""):
    return [
        (each["metadata"]["name"], each["metadata"]["resourceVersion"])
        async for page in api.pages(path, selector=selector)
        for each in page.items
    ]


async def watched(api, path, *, since="0", selector="", count=0):
    """Return what a watch tells at once."""
    seen = []
    async for event in api.watch(path, selector=selector, resource_version=since, seconds=0.05):
        seen.append((event.kind, event.raw["metadata"]["name"]))
        if len(seen) == count:
            break
    return seen


async def test_every_change_gets_a_newer_version_and_keeps_the_uid():
    api = MemoryApi()
    first = await api.create(HERE, raw())
    second = await api.patch_status(A, {"phase": "Running"}, resource_version="1")

    assert int(first["metadata"]["resourceVersion"]) < int(second["metadata"]["resourceVersion"])
    assert first["metadata"]["uid"] == second["metadata"]["uid"]


async def test_what_was_returned_is_the_callers_own():
    api = MemoryApi()
    made = await api.create(HERE, raw())
    made["metadata"]["name"] = "changed"
    read = await api.get(A)
    read["metadata"]["labels"]["changed"] = "yes"

    assert (await api.get(A))["metadata"] == api.stored(A)["metadata"]
    assert api.stored(A)["metadata"]["labels"] == {}


async def test_a_name_is_given_once():
    api = MemoryApi()
    await api.create(HERE, raw())

    with pytest.raises(errors.AlreadyExistsError):
        await api.create(HERE, raw())
    await api.create(paths.collection(paths.PODS, "other"), raw())


async def test_a_generated_name_is_a_new_one_each_time():
    api = MemoryApi()
    made = [await api.create(HERE, {"metadata": {"generateName": "a."}}) for _ in range(3)]

    assert len({each["metadata"]["name"] for each in made}) == 3


async def test_what_is_not_there_is_not_found():
    api = MemoryApi()

    for request in (
        api.get(A),
        api.delete(A, uid="u"),
        api.patch_status(A, {}, resource_version="1"),
    ):
        with pytest.raises(errors.NotFoundError):
            await request


async def test_a_patch_of_an_older_version_is_a_conflict_and_changes_nothing():
    api = MemoryApi()
    api.put(A, raw(status={"a": 1}))
    api.put(A, raw(status={"a": 2}))

    with pytest.raises(errors.ConflictError):
        await api.patch_status(A, {"a": 3}, resource_version="1")
    assert api.stored(A)["status"] == {"a": 2}


async def test_a_delete_means_one_uid():
    api = MemoryApi()
    made = await api.create(HERE, raw())

    with pytest.raises(errors.ConflictError):
        await api.delete(A, uid="another")
    await api.delete(A, uid=made["metadata"]["uid"])
    assert api.stored(A) is None


async def test_a_delete_may_mean_one_version():
    api = MemoryApi()
    made = await api.create(HERE, raw())
    api.put(A, made | {"status": {"a": 2}})

    with pytest.raises(errors.ConflictError):
        await api.delete(A, uid=made["metadata"]["uid"], resource_version="1")
    await api.delete(A, uid=made["metadata"]["uid"], resource_version="2")
    assert api.stored(A) is None


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ],
)
def test_a_merge_patch_is_the_standards(target, patch, merged):
    assert merge(target, patch) == merged


async def test_a_list_is_of_its_collection_and_its_selector():
    api = MemoryApi()
    api.put(A, raw("a", {"mine": ""}))
    api.put(B, raw("b"))
    api.put(ELSEWHERE, raw("a", {"mine": ""}))
    api.put(paths.item(paths.EVENTS, "e", "pipelines"), raw("e", {"mine": ""}))

    assert await listed(api, HERE) == [("a", "1"), ("b", "2")]
    assert await listed(api, EVERYWHERE) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert await listed(api, EVERYWHERE, "mine") == [("a", "1"), ("a", "3")]


async def test_an_empty_list_is_one_page_with_a_version():
    pages = [page async for page in MemoryApi().pages(HERE)]

    assert [(page.items, page.resource_version) for page in pages] == [([], "0")]


async def test_a_watch_tells_what_came_after_its_version():
    api = MemoryApi()
    api.put(A, raw("a"))
    api.put(B, raw("b"))
    api.put(ELSEWHERE, raw("elsewhere"))
    api.put(A, raw("a"))
    api.remove(B)

    assert await watched(api, HERE, since="1") == [
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
    assert await watched(api, HERE, since="5") == []


async def test_a_watch_tells_what_happens_while_it_waits():
    api = MemoryApi()
    watch = asyncio.create_task(watched(api, HERE, count=2))
    await asyncio.sleep(0)
    api.put(A, raw("a"))
    await asyncio.sleep(0)
    api.remove(A)

    assert await watch == [("ADDED", "a"), ("DELETED", "a")]


async def test_what_gets_or_loses_the_label_comes_and_goes_for_a_watch_by_it():
    api = MemoryApi()
    api.put(A, raw("a"))
    api.put(A, raw("a", {"mine": ""}))
    api.put(A, raw("a"))
    api.remove(A)

    assert await watched(api, HERE, selector="mine") == [("ADDED", "a"), ("DELETED", "a")]


async def test_requests_are_written_down_and_can_be_answered_otherwise():
    api = MemoryApi()
    api.put(A, raw())

    def refuse(request):
        if request.method == "GET":
            raise errors.from_status(403, "Forbidden", "no")

    api.on_request = refuse
    with pytest.raises(errors.ForbiddenError):
        await api.get(A)
    await api.patch_status(A, {"a": 1}, resource_version="1")

    assert [(r.method, r.path, r.body) for r in api.requests] == [
        ("GET", A, None),
        ("PATCH", A, {"a": 1}),
    ]


async def test_an_object_is_replaced_whole_and_only_as_it_was_read():
    api = MemoryApi()
    read = await api.create(HERE, raw(spec={"a": 1}))

    written = await api.replace(A, read | {"spec": {"b": 2}})
    assert written["spec"] == {"b": 2}
    assert written["metadata"]["uid"] == read["metadata"]["uid"]
    with pytest.raises(errors.ConflictError):
        await api.replace(A, read)
    with pytest.raises(errors.NotFoundError):
        await api.replace(B, read)
