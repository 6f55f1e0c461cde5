"""A Pod as its JSON says it is. Pure."""

import copy

import pytest

from factotum.controller.facts.pods import PodView, Terminated
from factotum.kube import names
from support.builders.jobs import JOB_UID, make_job, raw_pod


def status_of(state, *, phase="Pending", name=names.RUNNER_CONTAINER, **fields):
    return {"phase": phase, "containerStatuses": [{"name": name, "state": state}]} | fields


def test_a_running_pod_is_read():
    view = PodView.from_raw(raw_pod(attempt=2, launch=3))

    assert (view.namespace, view.uid, view.version) == ("pipelines", "pod-uid-1", 20)
    assert (view.job_uid, view.attempt, view.launch) == (JOB_UID, 2, 3)
    assert (view.phase, view.node_name) == ("Running", "node-a")
    assert not view.ended
    assert not view.deleting
    assert view.terminated is None


def without(*path):
    raw = copy.deepcopy(raw_pod())
    *folders, last = path
    place = raw["metadata"]
    for folder in folders:
        place = place[folder]
    del place[last]
    return raw


def owned(**changes):
    """Return a Pod with another owner reference than the one that we write."""
    raw = copy.deepcopy(raw_pod())
    (owner,) = raw["metadata"]["ownerReferences"]
    owner |= changes
    return raw


NUMBERS = {names.ANNOTATION_ATTEMPT: "1", names.ANNOTATION_LAUNCH: "1"}


def test_a_pod_that_we_made_belongs_to_its_job():
    assert PodView.from_raw(raw_pod()).belongs_to(make_job())


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(raw_pod(namespace="evil"), id="another namespace"),
        pytest.param(without("labels"), id="no labels"),
        pytest.param(raw_pod(labels={names.LABEL_JOB_UID: "another"}), id="another job's label"),
        pytest.param(without("ownerReferences"), id="no owner"),
        pytest.param(owned(controller=False), id="an owner that does not control it"),
        pytest.param(owned(kind="Job"), id="an owner of another kind"),
        pytest.param(owned(apiVersion="nowhere.example/v1"), id="an owner of a foreign group"),
        pytest.param(owned(apiVersion="v1"), id="an owner of the core group"),
        pytest.param(owned(uid="another"), id="an owner of another UID"),
        pytest.param(owned(name="weekly"), id="an owner of another name"),
        pytest.param(raw_pod(name="nightly-1-1-0"), id="another name"),
        pytest.param(without("annotations"), id="no annotations"),
        pytest.param(without("annotations", names.ANNOTATION_LAUNCH), id="no launch"),
        pytest.param(
            raw_pod(annotations=NUMBERS | {names.ANNOTATION_ATTEMPT: "one"}),
            id="an attempt that is no number",
        ),
        pytest.param(
            raw_pod(annotations=NUMBERS | {names.ANNOTATION_ATTEMPT: "²"}),
            id="an attempt that only looks like a number",
        ),
        pytest.param(
            raw_pod(annotations=NUMBERS | {names.ANNOTATION_ATTEMPT: "9" * 5000}),
            id="an attempt that is far too large",
        ),
        pytest.param(
            raw_pod(annotations=NUMBERS | {names.ANNOTATION_LAUNCH: "2"}),
            id="another launch than its name says",
        ),
    ],
)
def test_a_pod_that_only_looks_like_ours_is_not(raw):
    assert not PodView.from_raw(raw).belongs_to(make_job())


@pytest.mark.parametrize(
    "text", ["../../x", "E" * 64, "e" * 63, "e" * 65, "é" * 64, "e" * 63 + "/"]
)
def test_what_is_no_hash_is_none(text):
    forged = NUMBERS | {names.ANNOTATION_JOB_ID: text, names.ANNOTATION_FACTFILE_HASH: text}

    view = PodView.from_raw(raw_pod(annotations=forged))

    assert (view.job_id, view.factfile_hash) == ("", "")


def test_how_the_runner_ended_is_read_from_its_own_container():
    terminated = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "m"}}

    view = PodView.from_raw(raw_pod(status=status_of(terminated, phase="Running")))

    assert view.terminated == Terminated(exit_code=137, reason="OOMKilled", message="m")
    assert view.ended


def test_another_containers_end_is_not_the_runners():
    terminated = {"terminated": {"exitCode": 0}}

    view = PodView.from_raw(raw_pod(status=status_of(terminated, phase="Running", name="sidecar")))

    assert view.terminated is None
    assert not view.ended


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_has_ended_even_without_a_containers_word(phase):
    view = PodView.from_raw(raw_pod(status={"phase": phase, "reason": "Evicted"}))

    assert view.ended
    assert view.terminated is None
    assert view.reason == "Evicted"


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
def test_a_pod_in_any_other_phase_has_not_ended(phase):
    assert not PodView.from_raw(raw_pod(status={"phase": phase})).ended


def test_a_pod_being_deleted_is_seen_to_be():
    assert PodView.from_raw(raw_pod(deletionTimestamp="2026-03-01T12:00:00Z")).deleting


NOT_SCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available",
}


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        pytest.param({"phase": "Pending"}, "", id="nothing known"),
        pytest.param(
            status_of({"waiting": {"reason": "ContainerCreating"}}), "", id="just starting"
        ),
        pytest.param(
            status_of({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "ImagePullBackOff: no such image",
            id="an image that cannot be had",
        ),
        pytest.param(
            status_of({"waiting": {"reason": "ErrImagePull"}}), "ErrImagePull", id="no message"
        ),
        pytest.param(
            {"phase": "Pending", "conditions": [NOT_SCHEDULED]},
            "Unschedulable: 0/3 nodes are available",
            id="no Node for it",
        ),
        pytest.param(
            {"phase": "Pending", "conditions": [NOT_SCHEDULED | {"status": "True"}]},
            "",
            id="on its Node",
        ),
    ],
)
def test_a_pod_that_does_not_start_says_why(status, waiting):
    assert PodView.from_raw(raw_pod(status=status)).waiting == waiting


def test_a_pod_without_a_status_is_read():
    raw = raw_pod()
    del raw["status"], raw["spec"]

    view = PodView.from_raw(raw)

    assert (view.phase, view.node_name, view.ended) == ("", "", False)
