"""Pods whose creation hangs: who waits, who does not, and what becomes of the late answer.

Real: the whole controller but for its servers, on an API in memory that answers when it is told to,
and a clock that is held.
"""

import asyncio

from factotum.controller.claims.judging import Granted, Later
from factotum.kube import errors, names, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import JOB_UID, identity_of, make_claim, raw_job, raw_pod
from support.model.stage import JOB, NAMESPACE, SPEC, Stage, pod_path, settle


class Hanging(MemoryApi):
    """Keeps every creation of a Pod in some namespaces until it is let go."""

    def __init__(self, *namespaces):
        super().__init__()
        self.namespaces = namespaces
        self.go = asyncio.Event()
        self.asked = []
        self.answer = None

    async def create(self, path, body):
        if path.endswith("/pods"):
            self.asked.append(path)
            if any(f"/{namespace}/" in path for namespace in self.namespaces):
                await self.go.wait()
                if self.answer is not None:
                    raise self.answer
        return await super().create(path, body)


async def hung(**options):
    stage = Stage(api=Hanging(NAMESPACE), **options)
    stage.job()
    await stage.look()
    return stage


async def test_a_look_leaves_a_creation_that_hangs_and_asks_no_second_time():
    stage = await hung()

    assert await stage.look() == []
    assert len(stage.api.asked) == 1
    assert stage.holds()


async def test_after_some_seconds_it_is_told_and_the_worker_is_given_to_others():
    stage = await hung()
    stage.clock.move(5)

    assert await stage.look() == [
        "PATCH factotumjobs PodNotCreated",
        "POST events Warning PodNotCreated",
    ]
    assert not stage.holds()


async def test_an_answer_that_comes_queues_a_look_which_takes_the_pod_in():
    stage = await hung()
    stage.reconciler.queue._dirty.clear()
    stage.api.go.set()
    await settle()

    assert JOB_UID in stage.queued()
    assert await stage.look() == []
    assert stage.holds()
    assert len(stage.api.asked) == 1


async def test_a_pod_that_comes_after_its_worker_was_given_away_waits_with_its_claim():
    stage = await hung()
    stage.clock.move(5)
    await stage.look()
    stage.slots.hold("another")
    stage.api.go.set()
    await settle()
    await stage.look()
    assert not stage.holds()
    made = stage.api.stored(pod_path())
    stage.cache.put_pod(stage.api.put(pod_path(), made | {"status": {"phase": "Running"}}))
    await stage.look()
    identity = identity_of(made)
    request = make_claim()

    assert isinstance(await stage.desk.claim(request, identity), Later)
    assert len(stage.slots) == 1
    stage.slots.release("another")
    assert isinstance(await stage.desk.claim(request, identity), Granted)


async def test_a_creation_that_failed_in_the_end_is_tried_again_with_a_worker():
    stage = await hung()
    stage.clock.move(5)
    await stage.look()
    stage.api.answer = errors.from_status(500, "InternalError", "the webhook did not answer")
    stage.api.go.set()
    await settle()
    stage.api.answer = None
    await stage.look()
    assert not stage.holds()
    stage.clock.move(60)

    assert "POST pods" in await stage.look()
    assert stage.holds()


async def test_a_pod_that_is_asked_for_once_more_has_its_worker_as_long_again():
    stage = await hung()
    stage.api.answer = errors.from_status(500, "InternalError", "the webhook did not answer")
    stage.api.go.set()
    await settle()
    await stage.look()
    stage.api.go.clear()
    stage.api.answer = None
    stage.clock.move(4)
    await stage.look()
    assert len(stage.api.asked) == 2
    stage.clock.move(3)
    await stage.look()

    assert stage.holds()


async def test_jobs_of_the_same_namespace_wait_without_a_worker_and_others_run():
    stage = await hung(workers=9)
    stage.clock.move(3)
    for name, namespace in (("second", NAMESPACE), ("free", "elsewhere")):
        raw = raw_job(uid=name, name=name, namespace=namespace, spec=SPEC)
        stage.sees(stage.api.put(JOB.replace(NAMESPACE, namespace).replace("nightly", name), raw))

    assert await stage.look("second") == []
    assert not stage.holds("second")
    assert await stage.look("free") == ["POST pods"]
    assert stage.holds("free")
    stage.clock.move(5)
    assert await stage.look("second") == [
        "PATCH factotumjobs PodNotCreated",
        "POST events Warning PodNotCreated",
    ]


async def test_a_dry_run_needs_no_pod_and_waits_for_no_namespace():
    stage = await hung()
    stage.clock.move(6)
    dry = raw_job(uid="dry", name="dry", spec=SPEC | {"dryRun": True})
    stage.sees(stage.api.put(paths.job(NAMESPACE, "dry"), dry))

    assert (await stage.look("dry"))[0] == "PATCH factotumjobs DryRun"


async def test_a_hundred_jobs_that_hang_hold_no_worker_of_the_reconciler():
    stage = Stage(api=Hanging("stuck"), workers=200)
    for number in range(100):
        name = f"stuck-{number}"
        raw = raw_job(uid=name, name=name, namespace="stuck", spec=SPEC)
        stage.sees(stage.api.put(JOB.replace(NAMESPACE, "stuck").replace("nightly", name), raw))
    stage.job()
    work = asyncio.create_task(stage.reconciler.run())
    for _ in range(100):
        await asyncio.sleep(0.02)
        if stage.api.stored(pod_path()) is not None:
            break
    asked = [path for path in stage.api.asked if "stuck" in path]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert stage.api.stored(pod_path()) is not None
    assert len(asked) <= 16


async def test_a_job_that_goes_meanwhile_leaves_nothing_behind():
    stage = await hung()
    stage.api.remove(JOB)
    stage.cache.drop_job(JOB_UID)
    await stage.look()
    assert not stage.holds()
    stage.api.go.set()
    await settle()
    await stage.look()
    assert not stage.holds()
    late = stage.api.stored(pod_path())
    stage.cache.drop_pod(late["metadata"]["uid"])  # nobody's any more: the garbage collector's
    await stage.look()

    assert len(stage.reconciler._ledger) == 0
    assert stage.slots.held_ids == 0
    assert stage.reconciler._creations._tasks == set()


async def test_a_claimed_job_is_not_kept_waiting_by_its_own_creation():
    """The Pod is there, only the answer is late: the watch shows it, and its runner claims."""
    stage = await hung()
    manifest_path = pod_path()
    seen = stage.pod(status={"phase": "Running"})
    assert seen["metadata"]["name"] == manifest_path.rpartition("/")[2]
    digest = stage.reconciler._ledger._pages[JOB_UID].memory.factfile.digest
    annotations = seen["metadata"]["annotations"]
    annotations["factotum.snowplowanalytics.com/factfile-hash"] = digest
    raw = stage.api.put(manifest_path, seen)
    stage.cache.put_pod(raw)
    identity = identity_of(raw)
    request = make_claim()

    assert isinstance(await stage.desk.claim(request, identity), Granted)


class Deaf(MemoryApi):
    """Answers no deletion of a Pod in one namespace, until it is let go."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()
        self.asked = 0

    async def delete(self, path, *, uid, resource_version=""):
        if "/namespaces/stuck/pods/" in path:
            self.asked += 1
            await self.go.wait()
        await super().delete(path, uid=uid, resource_version=resource_version)


async def test_deletions_that_hang_in_one_namespace_leave_workers_for_the_others():
    stage = Stage(api=Deaf(), workers=200)
    for number in range(60):
        name, uid = f"stuck-{number}", f"uid-{number}"
        job = raw_job(uid=uid, name=name, namespace="stuck", spec=SPEC, status={"launch": 2})
        stage.sees(stage.api.put(paths.job("stuck", name), job))
        pod = given_up_pod(name, uid)
        stage.cache.put_pod(stage.api.put(paths.pod("stuck", pod["metadata"]["name"]), pod))
    work = asyncio.create_task(stage.reconciler.run())
    await asyncio.sleep(0.2)
    assert stage.api.asked == 16
    stage.clock.move(3)
    stage.job()
    for _ in range(60):
        await asyncio.sleep(0.1)
        if stage.api.stored(pod_path()) is not None:
            break
    asked = stage.api.asked
    stage.api.go.set()
    for _ in range(60):
        await asyncio.sleep(0.1)
        if stage.api.asked == 60:
            break
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert stage.api.stored(pod_path()) is not None
    assert asked == 16
    assert stage.api.asked == 60


def given_up_pod(name, uid):
    pod = raw_pod(
        uid=f"pod-of-{uid}",
        namespace="stuck",
        name=names.pod_name(name, uid, 1, 1),
        labels={names.LABEL_JOB_UID: uid},
    )
    pod["metadata"]["ownerReferences"][0] |= {"name": name, "uid": uid}
    return pod
