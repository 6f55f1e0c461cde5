"""When a finished job is deleted, or its Pods.

Pure rows; and the whole controller but for its servers, on an API in memory and a held clock.
"""

import asyncio

import pytest

from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import Ask
from factotum.controller.mirror.protocol import NoMirror
from factotum.controller.settings import Settings
from factotum.kube import errors
from factotum.kube.names import ANNOTATION_RESUME
from factotum.kube.resource import format_time
from support.builders.jobs import (
    CLAIM_ID,
    JOB_UID,
    NOW,
    POD_UID,
    after,
    brief,
    done_status,
    ended_pod,
    make_job,
    make_pod,
    observed,
    raw_job,
    working_status,
)
from support.model.stage import JOB, SPEC, Stage, pod_path


def done(ttl=None, *, seconds_ago=10, generation=1, **metadata):
    spec = {"factfile": {}} | ({} if ttl is None else {"ttlSecondsAfterFinished": ttl})
    status = done_status(completionTime=format_time(after(-seconds_ago)))
    return make_job(spec=spec, status=status, generation=generation, **metadata)


def failed(ttl, *, annotations, **fields):
    spec = {"factfile": {}, "ttlSecondsAfterFinished": ttl}
    ended = {"outcome": "FAILED", "reason": "TaskFailed", "completionTime": format_time(after(-10))}
    return make_job(spec=spec, status=done_status(**ended, **fields), annotations=annotations)


ENDED = ended_pod()
DELETED = {"deletionTimestamp": "2026-03-01T12:00:00Z"}

ROWS = [
    pytest.param(observed(done(), ENDED), {}, id="without a time it stays"),
    pytest.param(observed(done(10), ENDED), {"remove": True}, id="its time is over"),
    pytest.param(observed(done(0), ENDED), {"remove": True}, id="its time was over at once"),
    pytest.param(observed(done(0)), {"remove": True}, id="its Pod is gone"),
    pytest.param(observed(done(60), ENDED), {"again": 50.0}, id="its time is not over"),
    pytest.param(observed(done(0), make_pod()), {}, id="its runner is still at work"),
    pytest.param(
        observed(done(0), make_pod(deleting=True)), {}, id="its runner is being ended, not ended"
    ),
    pytest.param(
        observed(done(0), ENDED, make_pod(uid="stray")),
        {"delete": ["stray"], "again": 5.0},
        id="a stray Pod goes first",
    ),
    pytest.param(
        observed(done(0, generation=2), ENDED),
        {"patch": "DONE/SUCCEEDED Succeeded"},
        id="a changed spec is observed first",
    ),
    pytest.param(observed(done(0, **DELETED), ENDED), {}, id="somebody deleted it already"),
    pytest.param(
        observed(make_job(spec={"ttlSecondsAfterFinished": 0}, status=done_status()), ENDED),
        {},
        id="nobody knows when it ended",
    ),
    pytest.param(
        observed(done(), ENDED, is_surplus=True), {"remove": True}, id="newer ones fill the history"
    ),
    pytest.param(
        observed(done(3600), ENDED, is_surplus=True), {"remove": True}, id="also before its time"
    ),
    pytest.param(
        observed(done(), make_pod(), is_surplus=True), {}, id="not while its runner is at work"
    ),
    pytest.param(
        observed(done(), ENDED, has_surplus_pods=True),
        {"delete": [POD_UID]},
        id="only its Pods are too many",
    ),
    pytest.param(
        observed(done(60), ENDED, has_surplus_pods=True),
        {"delete": [POD_UID], "again": 50.0},
        id="its Pods are too many, and its own time will come",
    ),
    pytest.param(
        observed(done(), ended_pod(owner=""), has_surplus_pods=True),
        {},
        id="a Pod that somebody made his own stays",
    ),
    pytest.param(
        observed(failed(0, annotations={ANNOTATION_RESUME: "1"}), ENDED, is_surplus=True),
        {"ask": {Ask.RESULTS}},
        id="it is to get another attempt",
    ),
    pytest.param(
        observed(
            failed(0, annotations={ANNOTATION_RESUME: "1"}, resumeSeen="1"), ENDED, is_surplus=True
        ),
        {"remove": True},
        id="it has had the attempt that was asked for",
    ),
    pytest.param(
        observed(
            make_job(spec={"ttlSecondsAfterFinished": 0}, status=working_status()),
            make_pod(),
            is_surplus=True,
        ),
        {},
        id="a job at work is never deleted",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_every_row(seen, expected):
    assert brief(decide(seen, NOW)) == expected


def spec(ttl):
    return SPEC | {"ttlSecondsAfterFinished": ttl}


def status(**fields):
    return done_status(completionTime=format_time(NOW), **fields)


async def test_a_job_is_deleted_at_the_version_that_was_looked_at():
    stage = Stage()
    stage.job(spec=spec(30), status=status())
    assert await stage.look() == []
    stage.clock.move(30)

    assert await stage.look() == ["DELETE factotumjobs"]
    assert stage.api.stored(JOB) is None


async def test_a_job_that_is_at_work_again_is_not_deleted():
    stage = Stage()
    stage.job(spec=spec(0), status=status())
    stage.behind_its_back(**working_status(), completionTime=None)

    assert (await stage.look())[:2] == ["DELETE factotumjobs", "GET factotumjobs"]
    assert stage.status()["state"] == "WORKING"
    assert stage.cache.jobs[JOB_UID].claim.id == CLAIM_ID


async def test_another_job_of_the_name_is_not_deleted():
    stage = Stage()
    stage.job(spec=spec(0), status=status())
    stage.api.put(JOB, raw_job(uid="the next one", spec=SPEC, status=status()))

    await stage.look()

    assert stage.api.stored(JOB)["metadata"]["uid"] == "the next one"


class Owing(NoMirror):
    """Consul is away: the end of no job could be written yet."""

    is_away = True

    def owes(self, _job):
        return self.is_away


async def test_a_job_whose_end_is_still_to_be_written_to_consul_stays():
    mirror = Owing()
    stage = Stage(mirror=mirror)
    stage.job(spec=spec(0), status=status())
    assert await stage.look() == []
    mirror.is_away = False

    assert await stage.look() == ["DELETE factotumjobs"]


async def test_a_delete_whose_answer_is_lost_is_asked_again():
    stage = Stage()
    stage.job(spec=spec(0), status=status())

    def lose(request):
        if request.method == "DELETE":
            raise errors.UnreachableError("no answer")

    stage.api.on_request = lose
    with pytest.raises(errors.UnreachableError):
        await stage.look()
    stage.api.on_request = lambda _: None
    assert await stage.look() == ["DELETE factotumjobs"]


async def test_a_finished_job_with_time_left_is_looked_at_when_it_is_over_and_not_before():
    stage = Stage()
    stage.job(spec=spec(3600), status=status())
    stage.reconciler.queue._dirty.clear()
    await stage.look()

    timer = stage.reconciler.queue._timers[JOB_UID]
    loop_time = timer.when() - 3600
    assert loop_time == pytest.approx(asyncio.get_running_loop().time(), abs=5)
    assert len(stage.reconciler._ledger) == 0


async def test_at_the_start_jobs_with_a_time_are_noted_and_others_cost_nothing():
    stage = Stage()
    for number, ttl in enumerate([None, 60, None]):
        fields = {"spec": SPEC if ttl is None else spec(ttl), "status": status()}
        stage.cache.put_job(
            raw_job(uid=f"u{number}", name=f"n{number}", resourceVersion="5", **fields)
        )
    for uid in stage.queued():
        stage.reconciler.queue._dirty.discard(uid)

    stage.reconciler.start()

    assert stage.queued() == set()
    assert set(stage.reconciler.queue._timers) == {"u1"}


async def test_a_time_that_is_taken_off_again_is_forgotten():
    stage = Stage()
    raw = stage.job(spec=spec(60), status=status())
    await stage.look()
    stage.sees(stage.api.put(JOB, raw | {"spec": SPEC}))
    await stage.look()
    stage.clock.move(61)

    assert JOB_UID not in stage.reconciler.queue._timers
    assert await stage.look() == []


async def test_the_oldest_finished_job_goes_when_a_newer_one_ends():
    stage = Stage(settings=Settings(max_workers=1, successful_jobs_history_limit=1))
    stage.job(status=status())
    await stage.look()
    stage.cache.put_job(
        raw_job(
            uid="newer",
            name="newer",
            resourceVersion="90",
            spec=SPEC,
            status=done_status(completionTime=format_time(after(5))),
        )
    )

    assert JOB_UID in stage.queued()
    assert await stage.look() == ["DELETE factotumjobs"]


async def test_pods_of_older_jobs_go_alone():
    stage = Stage(settings=Settings(max_workers=1, successful_pods_history_limit=0))
    stage.job(status=status())
    terminated = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    container = {"name": "factotum", "state": terminated}
    stage.pod(status={"phase": "Succeeded", "containerStatuses": [container]})

    assert await stage.look() == ["DELETE pods"]
    assert stage.api.stored(JOB) is not None
    assert stage.api.stored(pod_path()) is None
