"""Kubernetes Events: what is told, how often, and how much is remembered.

Real: the recorder of Events and the cache. The API is in memory, the event loop's time makes leaps.
"""

import asyncio
import gc
import types

import pytest

from factotum.controller.apply import events as events_module
from factotum.controller.apply.events import Events
from factotum.controller.clock import HeldClock
from factotum.controller.decide.decision import Notice
from factotum.controller.facts.cache import Cache
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from factotum.kube.resource import FactotumJob
from support.builders.jobs import JOB_UID, NOW, raw_job

PAUSE = 20.0
EVENTS = paths.collection(paths.EVENTS, "pipelines")


class Told:
    """Counts what became of Events."""

    def __init__(self):
        self.answers = []

    def told(self, answer):
        self.answers.append(answer)


class Scene:
    def __init__(self, pause=PAUSE):
        self.api, self.cache, self.recorder = MemoryApi(), Cache(), Told()
        self.clock = HeldClock(NOW)
        self.events = Events(self.api, self.clock, self.recorder, pause=pause)
        self.version = 100
        # The loop's time goes on only a little by itself, and by leaps when it is told to.
        loop = asyncio.get_running_loop()
        self.leapt, real = 0.0, loop.time
        loop.time = lambda: real() / 100 + self.leapt

    def job(self, status=None, **metadata):
        self.version += 1
        raw = raw_job(status=status, resourceVersion=str(self.version), **metadata)
        return self.cache.put_job(raw)

    def tells(self, reason="Succeeded", message="3/3 tasks run", **metadata):
        self.events.tell(
            self.job(**metadata), Notice(type="Normal", reason=reason, message=message)
        )

    async def settles(self, seconds=0.0):
        """Let time pass, and what is under way come to its end."""
        self.leapt += seconds
        for _ in range(3):
            await asyncio.sleep(0)
        while self.events._tasks:
            await asyncio.wait(self.events._tasks)

    def stored(self):
        return [raw for place, raw in self.api._objects.items() if place.startswith(EVENTS)]

    def writes(self):
        return [request.method for request in self.api.requests]


async def test_an_event_says_what_happened_to_which_job():
    scene = Scene()
    scene.tells(message="x" * 5000)
    await scene.settles()

    (event,) = scene.stored()
    assert event["involvedObject"]["uid"] == JOB_UID
    assert event["involvedObject"]["kind"] == "FactotumJob"
    assert (event["type"], event["reason"], event["count"]) == ("Normal", "Succeeded", 1)
    assert event["message"] == "x" * 1024
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-03-01T12:00:00Z"
    assert event["reportingComponent"] == "factotum-operator"
    assert scene.recorder.answers == ["created"]


async def test_what_happens_again_is_counted_up_in_the_same_event():
    scene = Scene()
    for number in range(1, 6):
        scene.tells("TaskFailed", f"time {number}")
        await scene.settles()
        scene.clock.move(5)
    assert scene.writes() == ["POST"]

    await scene.settles(30)
    (event,) = scene.stored()
    assert (event["count"], event["message"]) == (5, "time 5")
    assert event["firstTimestamp"] == "2026-03-01T12:00:00Z"
    assert event["lastTimestamp"] == "2026-03-01T12:00:20Z"
    assert scene.writes() == ["POST", "PATCH"]
    assert scene.recorder.answers == ["created", "counted"]


async def test_what_happens_while_its_event_is_being_made_is_counted_too():
    scene, gate = Scene(), asyncio.Event()
    create = scene.api.create

    async def slow(path, body):
        await gate.wait()
        return await create(path, body)

    scene.api.create = slow
    scene.tells("TaskFailed", "the first time")
    for _ in range(3):
        await asyncio.sleep(0)
    scene.tells("TaskFailed", "the second time")
    gate.set()
    await scene.settles()
    await scene.settles(30)

    (event,) = scene.stored()
    assert (event["count"], event["message"]) == (2, "the second time")


async def test_an_event_that_has_expired_is_made_anew_with_the_whole_count():
    scene = Scene(pause=0.0)
    scene.tells()
    await scene.settles()
    scene.api.remove(paths.item(paths.EVENTS, scene.stored()[0]["metadata"]["name"], "pipelines"))
    scene.tells()
    await scene.settles()

    (event,) = scene.stored()
    assert event["count"] == 2
    assert scene.writes() == ["POST", "PATCH", "POST"]


async def test_one_job_cannot_be_told_of_for_ever_new_reasons():
    scene = Scene()
    for number in range(40):
        scene.tells(f"Reason{number}")
    await scene.settles()

    assert len(scene.stored()) == 16
    assert scene.recorder.answers.count("dropped") == 24


async def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(events_module, "_MAX_JOBS", 10)
    monkeypatch.setattr(events_module, "_MAX_QUEUED", 25)
    scene = Scene()
    for number in range(100):
        scene.tells(uid=f"uid-{number}", name=f"job-{number}")

    assert (len(scene.events._told), len(scene.events._queue)) == (10, 25)
    await scene.settles(20)
    assert scene.recorder.answers.count("dropped") == 75


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (errors.from_status(403, "Forbidden", "the namespace goes"), ": the namespace goes"),
        (KeyError("metadata"), ""),
    ],
    ids=["refused", "answered oddly"],
)
async def test_an_event_that_is_refused_is_told_in_the_log_and_stops_no_other(caplog, fault, why):
    scene = Scene()
    refuse = [fault]

    def answer(_):
        if refuse:
            raise refuse.pop()

    scene.api.on_request = answer
    scene.tells("Succeeded")
    scene.tells("Lost")
    await scene.settles()

    assert [event["reason"] for event in scene.stored()] == ["Lost"]
    assert sorted(scene.recorder.answers) == ["created", "failed"]
    assert caplog.messages == [f"job pipelines/nightly: attempt 1: no Event recorded{why}"]


async def test_only_some_are_under_way_at_once():
    scene, gate, at_once = Scene(), asyncio.Event(), []
    create = scene.api.create

    async def slow(path, body):
        at_once.append(1)
        await gate.wait()
        return await create(path, body)

    scene.api.create = slow
    for number in range(50):
        scene.tells(uid=f"uid-{number}", name=f"job-{number}")
    for _ in range(20):
        await asyncio.sleep(0)
    under_way = len(at_once)
    gate.set()
    await scene.settles()

    assert under_way == 8
    assert len(scene.stored()) == 50


async def test_the_end_waits_for_events_a_moment_and_no_longer():
    scene = Scene()
    scene.tells()
    await scene.events.settle(5)
    assert len(scene.stored()) == 1

    scene.api.create = lambda *_: asyncio.Event().wait()
    scene.tells(uid="other", name="other")
    async with asyncio.timeout(2):
        await scene.events.settle(0.005)
        await asyncio.gather(*scene.events._tasks, return_exceptions=True)


async def test_no_factfile_is_kept_for_the_sake_of_an_event():
    scene = Scene()
    scene.tells(spec={"factfile": {"large": "x" * 100_000}})
    await scene.settles()

    reachable, seen = [scene.events._told], set()
    while reachable:
        each = reachable.pop()
        if id(each) in seen or isinstance(each, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(each))
        assert not isinstance(each, FactotumJob)
        if not isinstance(each, asyncio.TimerHandle):
            reachable += gc.get_referents(each)
