"""Claims and reports of Pods that are a job's own, and of all that are not.

Real: the whole controller but for its servers, on an API in memory and a clock that is held.
"""

from copy import deepcopy

import pytest

from factotum.controller.claims.judging import NOT_ITS_OWN, Denied, Granted, Later
from factotum.controller.claims.tokens import PodIdentity
from factotum.core.wire.orders import WorkOrder
from factotum.kube import errors, names, paths
from support.builders.jobs import (
    JOB_UID,
    OTHER_CLAIM_ID,
    POD_UID,
    done_status,
    identity_of,
    make_claim,
    make_report,
    raw_job,
    raw_pod,
    working_status,
)
from support.model.stage import JOB, NAMESPACE, SPEC, Stage, pod_path

UNKNOWN = NOT_ITS_OWN
DELETED = {"deletionTimestamp": "2026-03-01T12:00:00Z"}


async def launched(stage):
    """Have a job with the Pod that was made for it."""
    stage.job()
    await stage.look()
    return stage.api.stored(pod_path())


def asked(stage):
    return [(each.method, each.path.rpartition("/")[2]) for each in stage.api.requests]


async def test_the_jobs_own_pod_gets_everything_by_one_patch():
    stage = Stage()
    pod = await launched(stage)
    before = len(stage.api.requests)

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert isinstance(answer, Granted)
    order = WorkOrder(answer.body)
    assert order.factfile_hash == pod["metadata"]["annotations"][names.ANNOTATION_FACTFILE_HASH]
    assert [each.method for each in stage.api.requests[before:]] == ["PATCH"]
    status = stage.status()
    assert (status["state"], status["claim"]["podUID"]) == ("WORKING", pod["metadata"]["uid"])
    assert [task["name"] for task in status["tasks"]] == ["a", "b"]


async def test_a_pod_that_an_earlier_operator_made_is_read_before_it_gets_anything():
    stage = Stage()
    pod = await launched(stage)
    stage.cache.drop_pod(pod["metadata"]["uid"])
    stage.cache.put_pod(pod)
    before = len(stage.api.requests)

    assert isinstance(await stage.desk.claim(make_claim(), identity_of(pod)), Granted)
    assert [each.method for each in stage.api.requests[before:]] == ["GET", "PATCH"]


async def test_the_same_process_may_ask_again_and_no_other():
    stage = Stage()
    pod = await launched(stage)
    first = await stage.desk.claim(make_claim(), identity_of(pod))

    assert await stage.desk.claim(make_claim(), identity_of(pod)) == first
    second = await stage.desk.claim(make_claim(claim_id=OTHER_CLAIM_ID), identity_of(pod))
    assert isinstance(second, Denied)
    assert second.status == 409


def of_another_group(raw):
    raw["metadata"]["ownerReferences"][0]["apiVersion"] = "evil.example/v1"


def of_another_kind(raw):
    raw["metadata"]["ownerReferences"][0]["kind"] = "Job"


def of_another_uid(raw):
    raw["metadata"]["ownerReferences"][0]["uid"] = "another"


def of_another_job(raw):
    raw["metadata"]["ownerReferences"][0]["name"] = "another"


def not_controlled(raw):
    raw["metadata"]["ownerReferences"][0]["controller"] = False


def without_owner(raw):
    raw["metadata"]["ownerReferences"] = []


def without_label(raw):
    raw["metadata"]["labels"] = {}


def of_another_name(raw):
    raw["metadata"]["name"] = "nightly-1-1-beefbeef"


def of_another_namespace(raw):
    raw["metadata"]["namespace"] = "other"


@pytest.mark.parametrize(
    "forge",
    [
        of_another_group,
        of_another_kind,
        of_another_uid,
        of_another_job,
        not_controlled,
        without_owner,
        without_label,
        of_another_name,
        of_another_namespace,
    ],
    ids=lambda forge: forge.__name__,
)
@pytest.mark.parametrize("is_known", [True, False], ids=["in the cache", "not in the cache"])
async def test_a_pod_that_is_not_the_jobs_own_is_told_nothing(forge, is_known):
    stage = Stage()
    stage.job()
    if not is_known:
        stage.cache.drop_job(JOB_UID)
    raw = deepcopy(raw_pod())
    forge(raw)
    metadata = raw["metadata"]
    stage.api.put(paths.pod(metadata["namespace"], metadata["name"]), raw)

    answer = await stage.desk.claim(make_claim(), identity_of(raw))

    assert answer == UNKNOWN
    assert stage.status() == {}
    assert await stage.desk.report(JOB_UID, 1, make_report(), identity_of(raw)) != Granted(
        body={"order": None}
    )


async def test_what_is_told_of_a_job_elsewhere_is_what_is_told_of_none():
    stage = Stage()
    stage.job()
    raw = raw_pod(namespace="other")
    stage.api.put(paths.pod("other", raw["metadata"]["name"]), raw)
    answers = set()
    for uid in (JOB_UID, "no-such-job"):
        raw["metadata"]["labels"] = {names.LABEL_JOB_UID: uid}
        stage.api.put(paths.pod("other", raw["metadata"]["name"]), raw)
        answers.add(await stage.desk.claim(make_claim(uid), identity_of(raw)))

    assert answers == {UNKNOWN}


async def test_a_token_of_a_pod_that_was_made_anew_is_no_good():
    stage = Stage()
    pod = await launched(stage)
    stage.api.put(pod_path(), pod | {"metadata": pod["metadata"] | {"uid": "the next one"}})
    stage.cache.drop_pod(pod["metadata"]["uid"])  # as the watch has it by then

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert answer == Denied(status=410, message="the Pod is gone or being deleted")


@pytest.mark.parametrize("namespaces", [("watched",), ("watched", "others")])
async def test_a_job_of_a_namespace_that_is_not_watched_is_none_of_ours(namespaces):
    stage = Stage(namespaces=namespaces)
    stage.api.put(JOB, raw_job(spec=SPEC))
    raw = raw_pod()
    stage.api.put(pod_path(), raw)

    assert await stage.desk.claim(make_claim(), identity_of(raw)) == UNKNOWN
    assert await stage.desk.report(JOB_UID, 1, make_report(), identity_of(raw)) == UNKNOWN
    assert stage.cache.jobs == {}
    assert stage.status() == {}


async def test_a_refusal_takes_a_live_read_of_the_job():
    stage = Stage()
    pod = await launched(stage)
    # The cache still has an older launch; the API server knows better.
    stage.behind_its_back(state="QUEUED", outcome="WAITING", attempt=1, launch=2)
    second = raw_pod(uid="second", launch=2)
    second["metadata"]["annotations"] |= {
        names.ANNOTATION_FACTFILE_HASH: pod["metadata"]["annotations"][
            names.ANNOTATION_FACTFILE_HASH
        ]
    }
    stage.api.put(pod_path(launch=2), second)

    answer = await stage.desk.claim(make_claim(launch=2), identity_of(second))

    assert isinstance(answer, Granted)
    assert ("GET", "nightly") in asked(stage)


@pytest.mark.parametrize(
    "fields",
    [{"status": done_status()}, DELETED | {"finalizers": ["x"]}, {"status": {"launch": 2}}],
    ids=["it is done", "it is being deleted", "it is at another launch"],
)
async def test_a_claim_of_a_job_that_is_over_is_refused_after_a_live_read(fields):
    stage = Stage()
    stage.job(**fields)
    pod = stage.pod()

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert isinstance(answer, Denied)
    assert answer.status == 410
    assert asked(stage) == [("GET", pod["metadata"]["name"]), ("GET", "nightly")]


async def test_nothing_is_refused_while_the_server_does_not_say():
    stage = Stage()
    stage.job(status=done_status())
    pod = stage.pod()

    def away(asked_for):
        if asked_for.path == JOB:
            raise errors.from_status(503, "", "away")

    stage.api.on_request = away
    with pytest.raises(errors.UnreachableError):
        await stage.desk.claim(make_claim(), identity_of(pod))


async def test_a_job_that_went_between_is_refused_and_dropped():
    stage = Stage()
    pod = await launched(stage)
    stage.api.remove(JOB)

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert answer == Denied(status=410, message="the job was deleted")
    assert stage.cache.jobs == {}
    stage.cache.drop_pod(pod["metadata"]["uid"])
    await stage.look()
    assert len(stage.desk._ledger) == 0


async def test_a_factfile_that_is_away_for_now_is_no_refusal():
    stage = Stage()
    stage.job(spec={"factfileFrom": {"configMapKeyRef": {"name": "gone", "key": "f"}}})
    pod = stage.pod()

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert isinstance(answer, Later)
    assert "there is no ConfigMap gone" in answer.message


async def test_a_factfile_that_changed_since_the_pod_was_made_ends_the_job():
    stage = Stage()
    stage.job()
    pod = stage.pod()

    answer = await stage.desk.claim(make_claim(), identity_of(pod))

    assert isinstance(answer, Denied)
    await stage.look()
    assert stage.status()["reason"] == "FactfileChanged"


# --- reports ------------------------------------------------------------------------------------


async def working(stage):
    stage.job(status=working_status())
    return identity_of(stage.pod())


async def test_a_final_report_is_answered_once_it_stands_in_the_status():
    stage = Stage()
    us = await working(stage)
    report = make_report("SSS", final=True)

    assert await stage.desk.report(JOB_UID, 1, report, us) == Granted(body={"order": None})
    assert stage.status()["outcome"] == "SUCCEEDED"
    assert await stage.desk.report(JOB_UID, 1, report, us) == Granted(body={"order": None})


async def test_a_final_report_that_cannot_be_written_is_not_answered_with_yes():
    stage = Stage()
    us = await working(stage)

    def away(asked_for):
        if asked_for.method == "PATCH":
            raise errors.from_status(503, "", "away")

    stage.api.on_request = away
    with pytest.raises(errors.UnreachableError):
        await stage.desk.report(JOB_UID, 1, make_report("SSS", final=True), us)
    assert stage.status()["state"] == "WORKING"


@pytest.mark.parametrize(
    "other",
    [
        PodIdentity(namespace=NAMESPACE, pod_name="p", pod_uid="another"),
        PodIdentity(namespace="other", pod_name="p", pod_uid=POD_UID),
    ],
    ids=["of another Pod", "of another namespace"],
)
async def test_a_report_that_is_not_the_claims_own_changes_nothing(other):
    stage = Stage()
    await working(stage)

    answer = await stage.desk.report(JOB_UID, 1, make_report("SSS", final=True), other)

    assert not isinstance(answer, Granted)
    assert stage.status()["state"] == "WORKING"


async def test_a_report_on_other_tasks_than_the_jobs_is_refused():
    stage = Stage()
    us = await working(stage)

    answer = await stage.desk.report(JOB_UID, 1, make_report("SS", final=True), us)

    assert answer == Denied(status=400, message="the job has 3 tasks")


async def test_a_runner_whose_job_is_being_deleted_is_told_to_stop():
    stage = Stage()
    stage.job(status=working_status(), **DELETED)
    us = identity_of(stage.pod())

    assert await stage.desk.report(JOB_UID, 1, make_report("RWW"), us) == Granted(
        body={"order": "stop"}
    )


async def test_a_report_on_a_job_that_the_cache_lost_is_read_live():
    stage = Stage()
    us = await working(stage)
    stage.cache.drop_job(JOB_UID)

    answer = await stage.desk.report(JOB_UID, 1, make_report("SSS", final=True), us)

    assert answer == Granted(body={"order": None})
    assert stage.status()["outcome"] == "SUCCEEDED"
