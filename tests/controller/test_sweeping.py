"""What the watches missed, and jobs that seem to be gone: found out by live reads.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

from factotum.controller.watch.sources import NEW
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import JOB_UID, done_status, raw_job, raw_pod, working_status
from support.model.stage import JOB, SPEC, Stage, pod_path

ALWAYS = 2**62


def asked(stage):
    return [(each.method, each.path.rpartition("/")[2]) for each in stage.api.requests]


async def test_a_sweep_reads_whole_only_what_is_newer_than_known():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    other = paths.job("pipelines", "other")
    stage.sees(stage.api.put(other, raw_job(name="other", uid="other", status=done_status())))
    stage.behind_its_back(sequence=7)

    await stage.parts.sources.sweep()

    assert [each for each in asked(stage) if each[0] == "GET"] == [("GET", "nightly")]
    assert stage.cache.jobs[JOB_UID].sequence == 7


async def test_a_sweep_finds_what_no_watch_told_of():
    stage = Stage()
    stage.api.put(JOB, raw_job(spec=SPEC))
    stage.api.put(pod_path(), raw_pod())

    await stage.parts.sources.sweep()

    assert set(stage.cache.jobs) == {JOB_UID}
    assert [pod.uid for pod in stage.cache.pods()] == ["pod-uid-1"]


async def test_a_job_that_a_sweep_does_not_find_is_read_live_before_it_is_dropped():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    await stage.look()
    stage.api.remove(JOB)
    stage.api.remove(pod_path())

    await stage.parts.sources.sweep()
    assert JOB_UID in stage.cache.jobs
    assert stage.queued() == {JOB_UID}

    assert await stage.look() == ["GET factotumjobs"]
    assert stage.cache.jobs == {}
    assert not stage.holds()


async def test_an_object_that_went_while_the_sweep_read_it_does_no_harm():
    stage = Stage()
    stage.api.put(JOB, raw_job(spec=SPEC))

    def vanish(request):
        if request.method == "GET":
            raise errors.from_status(404, "NotFound", "gone")

    stage.api.on_request = vanish
    await stage.parts.sources.sweep()

    assert stage.cache.jobs == {}


async def test_a_job_that_left_the_watch_of_new_ones_is_doubted_only_if_it_was_not_seen_there():
    stage = Stage()
    stage.job()
    told = stage.behind_its_back(**working_status())
    stage.sees(told)
    stage.pod()
    await stage.look()
    stage.parts.sources.new_job("DELETED", told)
    assert await stage.look() == []

    stage.parts.sources.new_job("DELETED", stage.behind_its_back(sequence=9))
    assert await stage.look() == ["GET factotumjobs"]


async def test_the_answer_to_the_write_that_ended_a_watch_dispels_the_doubt():
    stage = Stage()
    stage.job()
    told = stage.behind_its_back(**working_status())
    stage.parts.sources.new_job("DELETED", told)
    assert stage.queued() == {JOB_UID}
    stage.sees(told)
    stage.pod()

    assert await stage.look() == []


async def test_a_doubt_that_could_not_be_dispelled_stays():
    stage = Stage()
    stage.job(status=working_status())
    stage.pod()
    stage.reconciler.doubt(JOB_UID, ALWAYS)

    def away(_):
        raise errors.from_status(503, "", "away")

    stage.api.on_request = away
    try:
        await stage.reconciler.look(JOB_UID)
    except errors.UnreachableError:
        stage.api.on_request = lambda _: None
    assert await stage.look() == ["GET factotumjobs"]
    assert await stage.look() == []


async def test_a_job_that_only_changed_its_watch_goes_on():
    stage = Stage()
    stage.job()
    stage.pod()
    stage.parts.sources.new_job("DELETED", stage.behind_its_back(**working_status()))

    assert await stage.look() == ["GET factotumjobs"]
    assert JOB_UID in stage.cache.jobs
    assert stage.holds()


async def test_a_job_is_in_one_of_the_two_watches_whatever_its_state():
    api = MemoryApi()
    api.put(JOB, raw_job())
    api.put(JOB, raw_job(status={"observedGeneration": -1}))
    api.put(JOB, raw_job(status=working_status()))
    api.put(JOB, raw_job(status=done_status()))
    api.remove(JOB)
    seen = {}
    for fields in (NEW, NEW.replace("=", "!=")):
        watch = api.watch(
            paths.collection(paths.JOBS), fields=fields, resource_version="0", seconds=0
        )
        seen[fields] = [event.kind async for event in watch]

    new, told_of = seen.values()
    assert new == ["ADDED", "MODIFIED", "DELETED"]
    assert told_of == ["ADDED", "MODIFIED", "DELETED"]


async def test_the_last_events_are_recorded_before_the_end():
    stage = Stage()
    stage.job(finalizers=["x"], deletionTimestamp="2026-03-01T12:00:00Z")
    await stage.reconciler.look(JOB_UID)
    assert ("POST", "events") not in asked(stage)

    await stage.parts.writer.settle()

    assert asked(stage)[-1] == ("POST", "events")


async def test_a_job_that_was_done_meanwhile_is_not_read_again():
    stage = Stage()
    stage.job(status=working_status())
    done = stage.behind_its_back(**done_status())
    stage.reconciler.doubt(JOB_UID, int(done["metadata"]["resourceVersion"]))
    stage.sees(done)
    stage.api.requests.clear()

    await stage.look()

    assert [each.method for each in stage.api.requests] == []
    assert JOB_UID in stage.cache.jobs
