"""What a fence lets through: everything that reads, and what changes only after a look."""

import pytest

from factotum.kube import paths
from factotum.kube.api import KubeApi
from factotum.kube.errors import KubeError
from factotum.kube.fenced import FencedApi, FencedError
from factotum.kube.memory import MemoryApi

PODS = paths.collection(paths.PODS, "pipelines")
POD = paths.pod("pipelines", "a")
RAW = {"metadata": {"name": "a", "labels": {}}}


class Fence:
    """Open until it is shut."""

    def __init__(self):
        self.is_open = True
        self.looks = 0

    def __call__(self):
        self.looks += 1
        if not self.is_open:
            raise FencedError("shut")


@pytest.fixture
def fence():
    return Fence()


@pytest.fixture
def memory():
    return MemoryApi()


@pytest.fixture
def api(memory, fence) -> KubeApi:
    return FencedApi(memory, fence)


CHANGES = {
    "create": lambda api: api.create(PODS, {"metadata": {"name": "b", "labels": {}}}),
    "replace": lambda api: api.replace(
        POD, {"metadata": RAW["metadata"] | {"resourceVersion": "1"}}
    ),
    "delete": lambda api: api.delete(POD, uid="uid-1"),
    "merge": lambda api: api.merge(POD, {"metadata": {"labels": {"a": "b"}}}),
    "patch": lambda api: api.patch_status(POD, {"phase": "Running"}, resource_version="1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_passes_after_one_look(api, memory, fence, change):
    memory.put(POD, RAW)

    await change(api)
    assert fence.looks == 1
    assert len(memory.requests) == 1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_no_change_is_sent_from_behind_a_shut_fence(api, memory, fence, change):
    before = memory.put(POD, RAW)
    fence.is_open = False

    with pytest.raises(FencedError):
        await change(api)
    assert memory.requests == []
    assert memory.stored(POD) == before


async def test_reads_need_no_look(api, memory, fence):
    memory.put(POD, RAW)
    fence.is_open = False

    assert (await api.get(POD))["metadata"]["name"] == "a"
    assert [len(page.items) async for page in api.pages(PODS)] == [1]
    async for event in api.watch(PODS, resource_version="0", seconds=0):
        assert event.kind == "ADDED"
        break
    assert fence.looks == 0


def test_every_request_of_the_protocol_is_passed_on_or_fenced():
    asked = {name for name in vars(KubeApi) if not name.startswith("_")}

    changes = {"create", "replace", "delete", "merge", "patch_status"}
    assert asked == {"get", "pages", "watch"} | changes
    assert asked <= set(vars(FencedApi))


def test_who_is_fenced_off_has_no_answer_of_the_server():
    error = FencedError("shut")

    assert isinstance(error, KubeError)
    assert (error.status, error.reason) == (0, "")
