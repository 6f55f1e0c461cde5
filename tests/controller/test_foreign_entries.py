"""A job that another server has queued or running, as its entry in Consul says.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
The mirror here answers what it is told to.
"""

from factotum.controller.mirror.protocol import NoMirror
from factotum.controller.mirror.source import HeldByOther, Taken, Unreachable
from support.model.crowd import Crowd

HELD = HeldByOther("old-server")
WHY = (
    "'old-server' has this job id queued or running, by its entry in Consul:"
    " if that is no more, delete the key, or allow duplicates"
)


class Answering(NoMirror):
    """A mirror that gives one answer until it is changed."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def take(self, job, job_id):  # noqa: ARG002 - Mirror
        self.asked.append(job.name)
        return self.answer


def stage_with(answer, **options):
    return Crowd(mirror=Answering(answer), **options)


async def test_a_job_waits_with_back_off_and_runs_once_the_other_is_done():
    stage = stage_with(HELD)
    stage.make("a")
    await stage.looks("a")

    assert stage.says("a") == ("WaitingForJobId", WHY)
    assert not stage.pod_of("a")
    asked = []
    for _ in range(24):
        stage.clock.move(5)
        await stage.looks("a")
        asked.append(len(stage.mirror.asked))
    assert asked[-1] <= 7
    stage.mirror.answer = Taken()
    stage.clock.move(60)
    await stage.looks("a")
    assert stage.pod_of("a")


async def test_who_waits_for_another_server_takes_neither_worker_nor_job_id():
    stage = stage_with(HELD, workers=1)
    stage.make("a")
    await stage.looks("a")

    assert (len(stage.slots), stage.slots.held_ids, stage.slots.waiting) == (0, 0, 0)


async def test_a_job_that_does_not_wait_is_a_duplicate_of_another_servers():
    stage = stage_with(HELD)
    stage.make("a", policy="Reject")
    await stage.looks("a")

    reason, message = stage.says("a")
    assert reason == "Duplicate"
    assert message.startswith("'old-server' has this job id")


async def test_a_job_that_may_run_beside_others_asks_once_and_runs():
    stage = stage_with(HELD)
    stage.make("a", policy="Allow")
    await stage.looks("a")

    assert stage.pod_of("a")
    assert stage.mirror.asked == ["a"]


async def test_a_consul_that_is_away_keeps_nobody_waiting_and_the_job_says_so():
    stage = stage_with(Unreachable("no answer"))
    stage.make("a")
    await stage.looks("a")
    pod = stage.pod_of("a")["metadata"]["name"]
    await stage.claim("a")

    assert stage.says("a") == (
        "Claimed",
        f"running in Pod {pod}; Consul could not be asked whether others run it too",
    )
