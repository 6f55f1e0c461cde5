"""A claim's Pod whose label names another job by now, or none: claim and end count all the same.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

import pytest

from factotum.controller.claims.judging import NOT_ITS_OWN, Granted
from factotum.kube import names
from support.builders.jobs import (
    CLAIM_ID,
    JOB_UID,
    OTHER_CLAIM_ID,
    done_status,
    identity_of,
    make_claim,
    make_message,
    make_report,
    raw_pod,
    working_status,
)
from support.model.stage import Stage, pod_path

OTHER = "99999999-8888-7777-6666-555555555555"


def relabelled(stage, **fields):
    labels = dict(raw_pod()["metadata"]["labels"]) | {names.LABEL_JOB_UID: OTHER}
    return stage.pod(labels=labels, **fields)


def ended_well():
    state = {"terminated": {"exitCode": 0, "reason": "Completed", "message": make_message("SSS")}}
    return {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "factotum", "state": state}],
    }


async def claimed(stage):
    status = working_status()
    status["claim"]["podName"] = pod_path().rpartition("/")[2]
    stage.job(status=status)
    stage.pod()
    await work(stage)
    assert stage.holds()


async def work(stage):
    """Look at everything that is queued, as a worker does."""
    queue = stage.reconciler.queue
    while len(queue):
        uid = await queue.get()
        await stage.look(uid)
        queue.done(uid)


def will_be_looked_at(stage):
    return JOB_UID in stage.reconciler.queue._timers


async def test_a_job_that_is_done_looks_itself_whether_its_relabelled_pod_has_ended():
    stage = Stage()
    await claimed(stage)
    relabelled(stage)
    async with stage.parts.reconciler._ledger.open(JOB_UID) as memory:
        memory.hear(make_report(final=True, sequence=9))
    stage.reconciler.queue.add(JOB_UID)
    await work(stage)
    assert stage.status()["state"] == "DONE"

    relabelled(stage, status=ended_well())
    assert stage.queued() == {OTHER}, "the end is told to the other job"
    await work(stage)
    assert stage.holds()
    assert will_be_looked_at(stage)
    await stage.look()

    assert not stage.holds()
    assert not will_be_looked_at(stage)


async def test_a_job_that_is_done_waits_for_its_own_pods_word_without_asking():
    stage = Stage()
    stage.job(status=done_status())
    stage.pod()

    await work(stage)

    assert stage.holds()
    assert not will_be_looked_at(stage)


def another_label(pod):
    pod["metadata"]["labels"][names.LABEL_JOB_UID] = OTHER


def no_label(pod):
    del pod["metadata"]["labels"][names.LABEL_JOB_UID]


def no_owner(pod):
    del pod["metadata"]["ownerReferences"]


@pytest.mark.parametrize("change", [another_label, no_label, no_owner])
async def test_a_process_that_did_not_hear_of_its_claim_gets_it_whatever_became_of_its_pod(change):
    stage = Stage()
    stage.job()
    await stage.look()
    pod = stage.api.stored(pod_path())
    identity = identity_of(pod)

    def ask(claim_id):
        request = make_claim(claim_id=claim_id)
        return stage.desk.claim(request, identity)

    first = await ask(CLAIM_ID)
    change(pod)
    stage.cache.put_pod(stage.api.put(pod_path(), pod))

    assert isinstance(first, Granted)
    assert await ask(CLAIM_ID) == first
    assert await ask(OTHER_CLAIM_ID) == NOT_ITS_OWN
    assert stage.status()["state"] == "WORKING"


@pytest.mark.parametrize("change", [another_label, no_label, no_owner])
async def test_a_pod_that_was_changed_before_its_claim_has_no_job(change):
    stage = Stage()
    stage.job()
    await stage.look()
    pod = stage.api.stored(pod_path())
    change(pod)
    stage.cache.put_pod(stage.api.put(pod_path(), pod))
    identity = identity_of(pod)
    request = make_claim()

    assert await stage.desk.claim(request, identity) == NOT_ITS_OWN
    assert "claim" not in stage.status()
