"""What people and job servers are told of the queue: positions, and whether one more may come.

Real: the whole controller but for its servers, on an API in memory; its event loop is the test's.
"""

import asyncio

import pytest

from factotum.controller.queue import submission
from factotum.controller.queue.admission import Waiting
from factotum.controller.queue.slots import Slots
from factotum.controller.reconcile import positions
from factotum.controller.work_queue import WorkQueue
from support.model.crowd import Crowd


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param({"waiting": 0, "drains": False}, None, id="nobody waits"),
        pytest.param({"waiting": 2, "drains": False}, None, id="room for one more"),
        pytest.param(
            {"waiting": 3, "drains": False}, "the queue is full, as 3 jobs wait", id="full"
        ),
        pytest.param({"waiting": 0, "drains": True}, "the operator drains", id="drains"),
    ],
)
def test_a_submission_is_refused_while_the_operator_drains_or_its_queue_is_full(facts, says):
    assert submission.refusal(max_jobs=3, **facts) == says


async def test_the_first_ones_are_looked_at_now_and_then_while_somebody_waits(monkeypatch):
    monkeypatch.setattr(positions, "RETELL_SECONDS", 0.01)
    slots, queue = Slots(1), WorkQueue()
    slots.hold("x")
    for number in range(30):
        slots.join(Waiting(f"{number:02}", f"job-{number:02}"))
    told = positions.Positions(slots, queue)
    told.expect()
    told.expect()
    await asyncio.sleep(0.05)

    assert queue._dirty == {f"job-{number:02}" for number in range(20)}
    for number in range(30):
        slots.release(f"job-{number:02}")
    await asyncio.sleep(0.05)
    assert told._timer is None


async def test_a_thousand_waiting_jobs_get_one_status_each_and_only_the_first_another():
    stage = Crowd(workers=1)
    stage.slots.hold("x")
    names = [f"job-{number:04}" for number in range(1000)]
    stage.make(*names, policy="Allow")
    for name in names:
        await stage.looks(name)
    before = len(stage.api.requests)
    for _ in range(2):
        stage.clock.move(61)
        stage.slots.release("x")
        for name in names:
            await stage.look(name)

    written = [r for r in stage.api.requests[before:] if r.method == "PATCH"]
    assert len(written) <= 2 * 20
    assert stage.slots.position(names[-1]) == 999
    assert stage.says(names[-1])[1] == "all workers are busy"
    assert stage.says(names[3])[1] == "all workers are busy; position 3 in the queue"
