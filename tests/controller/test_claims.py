"""Who may claim and who may report, by one version of the job. Pure.

That a refusal takes a live read, and everything else that takes a sequence of
requests, is in ``test_invariants``.
"""

import pytest

from factotum.controller.claims.judging import (
    Denied,
    Granted,
    judge_claim,
    judge_report,
)
from factotum.controller.claims.tokens import PodIdentity
from support.builders.jobs import (
    OTHER_CLAIM_ID,
    POD_UID,
    done_status,
    make_claim,
    make_job,
    make_pod,
    make_report,
    working_status,
)

DELETED = {"deletionTimestamp": "2026-03-01T12:00:00Z"}
FREE = make_job()
WORKING = make_job(status=working_status(sequence=4))
DONE = make_job(status=done_status(sequence=9))
POD = make_pod()
US = PodIdentity(namespace="pipelines", pod_name="nightly-1-1-0", pod_uid=POD_UID)
OTHERS = PodIdentity(namespace="pipelines", pod_name="nightly-1-1-0", pod_uid="another")


def verdict(answer):
    return answer.status if isinstance(answer, Denied) else answer


@pytest.mark.parametrize(
    ("job", "asked", "pod", "answer"),
    [
        pytest.param(FREE, make_claim(), POD, None, id="a free attempt is to be had"),
        pytest.param(
            make_job(status={"state": "QUEUED", "launch": 3}),
            make_claim(launch=3),
            make_pod(launch=3),
            None,
            id="a later launch is to be had",
        ),
        pytest.param(
            WORKING, make_claim(), POD, Granted(body={}), id="the same process asks again"
        ),
        pytest.param(
            WORKING, make_claim(claim_id=OTHER_CLAIM_ID), POD, 409, id="a second process in the Pod"
        ),
        pytest.param(
            WORKING,
            make_claim(claim_id=OTHER_CLAIM_ID),
            make_pod(uid="another"),
            409,
            id="another Pod of the same launch",
        ),
        pytest.param(
            make_job(status={"state": "QUEUED", "launch": 2}),
            make_claim(),
            POD,
            410,
            id="a launch that was given up",
        ),
        pytest.param(
            make_job(status={"state": "QUEUED", "attempt": 2, "launch": 1}),
            make_claim(),
            POD,
            410,
            id="an earlier attempt",
        ),
        pytest.param(
            FREE, make_claim(launch=2), make_pod(launch=2), 410, id="a launch not yet known"
        ),
        pytest.param(
            FREE, make_claim(), make_pod(launch=2), 410, id="a Pod that speaks for another launch"
        ),
        pytest.param(DONE, make_claim(claim_id=OTHER_CLAIM_ID), POD, 410, id="a job that is done"),
        pytest.param(DONE, make_claim(), POD, 410, id="a job that its own runner has done"),
        pytest.param(make_job(**DELETED), make_claim(), POD, 410, id="a job that is being deleted"),
        pytest.param(
            make_job(status=working_status(), **DELETED),
            make_claim(),
            POD,
            410,
            id="a job that is being deleted, by its own runner",
        ),
    ],
)
def test_every_way_a_claim_is_judged(job, asked, pod, answer):
    assert verdict(judge_claim(job, asked, pod)) == answer


@pytest.mark.parametrize(
    ("job", "attempt", "report", "identity", "answer"),
    [
        pytest.param(WORKING, 1, make_report("SRW", sequence=5), US, None, id="progress"),
        pytest.param(WORKING, 1, make_report("SRW", sequence=2), US, None, id="late progress"),
        pytest.param(
            WORKING, 1, make_report("SSS", sequence=5, final=True), US, None, id="a verdict"
        ),
        pytest.param(WORKING, 2, make_report(), US, 410, id="another attempt"),
        pytest.param(
            WORKING, 1, make_report(claim_id=OTHER_CLAIM_ID), US, 410, id="another process"
        ),
        pytest.param(WORKING, 1, make_report(), OTHERS, 410, id="another Pod"),
        pytest.param(FREE, 1, make_report(), US, 410, id="nobody has claimed it"),
        pytest.param(DONE, 1, make_report(sequence=8), US, 410, id="progress of what is done"),
        pytest.param(
            DONE, 1, make_report(sequence=9, final=True), US, None, id="the verdict told again"
        ),
        pytest.param(
            DONE, 1, make_report(sequence=10, final=True), US, 410, id="a verdict after the verdict"
        ),
    ],
)
def test_every_way_a_report_is_judged(job, attempt, report, identity, answer):
    assert verdict(judge_report(job, attempt, report, identity)) == answer


def test_a_refusal_says_where_the_job_is():
    denied = judge_claim(make_job(status={"launch": 3}), make_claim(), POD)

    assert denied.message == "this is attempt 1, launch 1; the job is at attempt 1, launch 3"
