"""A plan of chaos follows from its seed and nothing else. Pure."""

import json
import sys
from collections import Counter

import pytest

from support.cluster.clusters import ROOT

sys.path.append(str(ROOT))

from chaos import acts, behaviours, plan


def test_the_same_seed_gives_the_same_plan_and_another_seed_another():
    assert plan.draw(7, 60).to_json() == plan.draw(7, 60).to_json()
    digests = {plan.draw(seed, 60).digest() for seed in range(20)}
    assert len(digests) == 20


def test_a_plan_has_as_many_jobs_as_asked_for_and_each_name_once():
    for count in (1, 20, 137, 500):
        names = [job.name for job in plan.draw(3, count).jobs]
        assert len(names) == len(set(names)) == count


def test_a_large_plan_has_every_behaviour_and_every_disturbance():
    drawn = plan.draw(1, 500)
    assert {job.behaviour for job in drawn.jobs} == behaviours.TABLE.keys()
    assert {each.kind for each in drawn.whole} == plan.WHOLE.keys()
    assert {each.kind for each in drawn.single} == plan.SINGLE.keys()


def test_two_quick_plans_have_most_of_what_there_is_between_them():
    kinds = Counter()
    for seed in (1, 2):
        drawn = plan.draw(seed, 30, quick=True)
        kinds.update(each.kind for each in (*drawn.whole, *drawn.single))
    assert len(kinds) >= 10
    assert kinds.keys() & {"operator killed", "leader killed"}


def test_a_quick_plan_does_nothing_that_takes_a_minute_to_be_told():
    for seed in range(30):
        for act in plan.draw(seed, 40, quick=True).single:
            assert act.kind not in plan.SLOW or act.phase == "seen"


def test_everything_that_a_plan_may_hold_can_be_done():
    assert plan.SINGLE.keys() <= acts.SINGLE.keys()
    assert plan.WHOLE.keys() == acts.WHOLE.keys()
    orders = {order.kind for job in _one_of_each() for order in job.orders}
    assert orders == {"suspend", "run", "resume", "cancel"}
    assert orders <= acts.SINGLE.keys()


def test_disturbances_come_in_order_and_while_jobs_are_there():
    moments = [each.after for each in plan.draw(5, 500).whole]
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 1


def _one_of_each():
    chance = plan.Random(11)
    for name, (make, _) in behaviours.TABLE.items():
        yield from make(chance, name, f"{name}.", plan.NODES)


@pytest.mark.parametrize("job", _one_of_each(), ids=lambda job: job.name)
def test_every_behaviour_can_be_made_and_says_what_is_to_come_of_it(job):
    manifest = job.manifest("somewhere", "/tmp/record")
    tasks = manifest["spec"]["factfile"]["data"]["tasks"]
    assert [task["name"] for task in tasks] == [task.name for task in job.tasks]
    assert job.states == () or len(job.states) == len(tasks)
    assert json.loads(json.dumps(manifest)) == manifest
    assert job.expected[0] in ("SUCCEEDED", "FAILED")


def test_jobs_of_one_group_have_one_factfile():
    made = behaviours.duplicate(plan.Random(1), "duplicate-1", "g.", plan.NODES)
    factfiles = [json.dumps(job.manifest("ns", "/r")["spec"]) for job in made]
    assert len(made) > 1
    assert len(set(factfiles)) == 1
