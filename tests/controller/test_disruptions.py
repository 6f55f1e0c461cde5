"""Pods that Kubernetes itself ends: whose word is told, and when. Pure."""

import pytest

from factotum.controller.decide.outcomes import cause_of
from factotum.controller.decide.table import decide
from factotum.controller.facts.pods import PodView
from support.builders.jobs import (
    NOW,
    brief,
    ended_pod,
    make_job,
    make_message,
    make_pod,
    make_report,
    observed,
    raw_pod,
    working_status,
)

WORKING = make_job(status=working_status())
NODE_SHUTDOWN = "Pod was terminated in response to imminent node shutdown."


def disrupted(reason, message="so it is", *, status="True"):
    condition = {
        "type": "DisruptionTarget",
        "status": status,
        "reason": reason,
        "message": message,
    }
    return {"conditions": [{"type": "Ready", "status": "False"}, condition]}


def pod_with(status):
    return PodView.from_raw(raw_pod(status={"phase": "Running"} | status))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(disrupted("PreemptionByScheduler"), "Preempting", id="preempted"),
        pytest.param(disrupted("EvictionByEvictionAPI"), "Evicted", id="drained"),
        pytest.param(disrupted("DeletionByTaintManager"), "NodeLost", id="tainted-node"),
        pytest.param(disrupted("DeletionByPodGC"), "NodeLost", id="node-gone"),
        pytest.param(
            disrupted("TerminationByKubelet") | {"reason": "Terminated", "message": NODE_SHUTDOWN},
            "Shutdown",
            id="node-shut-down",
        ),
        pytest.param(
            disrupted("TerminationByKubelet") | {"reason": "Evicted"}, "Evicted", id="node-pressure"
        ),
        pytest.param({"reason": "Preempting"}, "Preempting", id="by-a-critical-pod"),
        pytest.param({"reason": "NodeLost"}, "NodeLost", id="node-lost"),
        pytest.param(disrupted("SomethingNew"), None, id="unknown"),
        pytest.param(
            disrupted("EvictionByEvictionAPI", status="False"), None, id="taken-back-again"
        ),
        pytest.param({}, None, id="nobody"),
    ],
)
def test_whoever_ended_a_pod_gives_the_reason(status, reason):
    cause = cause_of(pod_with(status))

    assert (cause and cause[0]) == reason
    assert cause is None or cause[1]


@pytest.mark.parametrize(
    ("why", "reason"),
    [("PreemptionByScheduler", "Preempting"), ("DeletionByPodGC", "NodeLost")],
)
def test_a_claimed_pod_that_ends_so_without_a_word_fails_with_that_reason(why, reason):
    pod = make_pod(phase="Failed", disruption=(why, "told"))

    decision = decide(observed(WORKING, pod), NOW)

    assert brief(decision) == {"patch": f"DONE/FAILED {reason}", "event": "Warning"}
    assert decision.patch["message"] == "told"


def test_a_runner_that_was_shut_down_so_tells_of_it_in_its_last_report():
    pod = make_pod(deleting=True, disruption=("EvictionByEvictionAPI", "Eviction API: evicting"))
    report = make_report("SFW", final=True, interrupted=1, sequence=5)

    decision = decide(observed(WORKING, pod, report=report), NOW)

    assert decision.patch["reason"] == "Evicted"
    assert "Eviction API: evicting" in decision.patch["message"]


def test_a_run_that_ended_well_before_it_is_a_success():
    pod = ended_pod(make_message("SSS"), disruption=("PreemptionByScheduler", "told"))

    assert brief(decide(observed(WORKING, pod), NOW))["patch"] == "DONE/SUCCEEDED Succeeded"


def test_an_unclaimed_pod_that_is_preempted_is_replaced_and_the_cause_told():
    pod = make_pod(deleting=True, disruption=("PreemptionByScheduler", "told"))

    decision = decide(observed(make_job(), pod), NOW)

    assert brief(decision) == {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"}
    assert "Preempting: told" in decision.patch["message"]


def told_of(reason, message):
    """Return the status of a job whose Pod does not start for what its kubelet says."""
    waiting = {"waiting": {"reason": reason, "message": message}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "factotum", "state": waiting}]}
    view = PodView.from_raw(raw_pod(status=status))
    return decide(observed(make_job(), view, pending_seconds=9.0), NOW).patch


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("ErrImagePull", "no such image"),
        ("RegistryUnavailable", "RegistryUnavailable: it is down"),
        ("SignatureValidationFailed", "SignatureValidationFailed: not ours"),
    ],
)
def test_what_a_kubelet_says_in_turns_about_an_image_has_one_cause(word, cause):
    first = told_of(word, cause.removeprefix(f"{word}: "))
    said = cause if word in cause else f"{word}: {cause}"
    then = told_of("ImagePullBackOff", f'Back-off pulling image "x:1": {said}')

    assert first["reason"] == then["reason"] == "ImagePullBackOff"
    assert first["message"] == then["message"]
    assert then["message"].endswith(f"does not start: {cause}")


@pytest.mark.parametrize(
    "word",
    [
        *("Succeeded", "Cancelled", "Claimed", "Suspended", "DryRun", "so it is"),
        pytest.param("x" * 2000, id="long"),
    ],
)
def test_a_pod_that_waits_in_a_word_that_is_none_of_kubernetes_is_one_that_waits(word):
    told = told_of(word, "so says its kubelet")

    assert (told["state"], told["outcome"]) == ("QUEUED", "WAITING")
    assert told["reason"] == "PodPending"
    assert word[:100] in told["message"]


@pytest.mark.parametrize("word", ["Succeeded", "DryRun", "Retrying"])
def test_a_run_that_was_shut_down_is_not_told_in_a_word_of_ours_that_its_pod_says(word):
    pod = make_pod(phase="Failed", reason=word)
    report = make_report("SFW", final=True, interrupted=1, sequence=5)

    decision = decide(observed(WORKING, pod, report=report), NOW)

    assert brief(decision) == {"patch": "DONE/FAILED Interrupted", "event": "Warning"}
