"""Pods that do not get to their claim: told, given up after a while, and made anew.

Real: the API server with our chart, the scheduler, the operator's process, a test node with the
real runner.
"""

import time

import pytest

from support.cluster.kube_api import jobs_path, pods_path
from support.consul.process import free_ports

pytestmark = pytest.mark.cluster


def warnings(bench, name):
    listed = bench.api.items(f"/api/v1/namespaces/{bench.namespace}/events")
    return [
        event["reason"]
        for event in listed
        if event["involvedObject"]["name"] == name and event["type"] == "Warning"
    ]


def launch_is(number):
    return lambda job: job.get("status", {}).get("launch") == number


@pytest.mark.longer
def test_a_pod_that_never_starts_is_made_anew_with_the_image_of_today(bench):
    path = jobs_path(bench.namespace, "job")
    image = "localhost/factotum-runner:put-right"
    with bench.nodes():
        with bench.operator("--pod-pending-timeout=3600") as operator:
            uid = bench.create(envFrom=[{"secretRef": {"name": "absent"}}])
            old = bench.api.wait_pod(bench.namespace, uid)
            bench.api.wait_state(
                bench.namespace, "job", "QUEUED", reason="CreateContainerConfigError"
            )
            assert operator.is_ready()
        flags = ("--pod-pending-timeout=6", f"--runner-image={image}")
        with bench.operator(*flags, name="upgraded"):
            given_up = bench.api.wait_for(path, launch_is(2), "at its second launch")
            bench.api.wait_for(
                pods_path(bench.namespace),
                lambda listed: (
                    old["metadata"]["uid"] not in [p["metadata"]["uid"] for p in listed["items"]]
                ),
                "without the old Pod",
            )
            new = bench.api.wait_pod(bench.namespace, uid)
            secrets = f"/api/v1/namespaces/{bench.namespace}/secrets"
            bench.api.create(secrets, {"metadata": {"name": "absent"}})
            status = bench.done()

    assert given_up["status"]["reason"] == "Relaunching"
    assert "did not start within 6 s" in given_up["status"]["message"]
    assert new["spec"]["containers"][0]["image"] == image
    assert status["outcome"] == "SUCCEEDED"
    assert status["launchesGivenUp"] == status["launch"] - 1 >= 1
    assert bench.book.twice() == []


def test_a_job_that_no_node_takes_is_told_once_and_ends_by_its_deadline_only(bench):
    nodes = [f"/api/v1/nodes/fake-{number}" for number in (1, 2, 3)]
    with bench.operator("--max-workers=1"):
        for path in nodes:
            bench.api.patch(path, {"spec": {"unschedulable": True}})
        try:
            bench.create(constraints=None, name="endless")
            bench.api.wait_state(bench.namespace, "endless", "QUEUED", reason="Unschedulable")
            bench.create(
                constraints=None, name="bounded", activeDeadlineSeconds=8, duplicatePolicy="Allow"
            )
            status = bench.done("bounded")
            time.sleep(1)
            endless = bench.status("endless")
            told = warnings(bench, "endless")
        finally:
            for path in nodes:
                bench.api.patch(path, {"spec": {"unschedulable": None}})
        with bench.nodes("fake-1", "fake-2", "fake-3"):
            assert bench.done("endless")["outcome"] == "SUCCEEDED"

    assert (status["outcome"], status["reason"]) == ("FAILED", "DeadlineExceeded")
    assert (endless["state"], endless["reason"]) == ("QUEUED", "Unschedulable")
    assert told == ["Unschedulable"]


def test_a_runner_that_cannot_reach_the_operator_is_told_and_holds_nobody_up(bench):
    (nowhere,) = free_ports(1)
    away = f"https://127.0.0.1:{nowhere}"
    with bench.nodes(), bench.operator("--max-workers=1", claims_url=away):
        bench.create(name="deaf")
        first = bench.api.wait_for(
            jobs_path(bench.namespace, "deaf"),
            lambda job: bool(job.get("status", {}).get("state")),
            "told of",
            seconds=12,
        )
        deaf = bench.api.wait_state(bench.namespace, "deaf", "QUEUED", reason="RunnerNotHeard")
        uid = bench.create(name="other", duplicatePolicy="Allow")
        bench.api.wait_pod(bench.namespace, uid)
        told = warnings(bench, "deaf")

    assert first["status"]["reason"] in ("PodPending", "RunnerNotHeard")
    assert "--claims-url" in deaf["message"]
    assert told == ["RunnerNotHeard"]


def test_a_node_that_speaks_in_words_of_ours_ends_no_job(bench):
    path = jobs_path(bench.namespace, "job")
    with bench.operator():
        uid = bench.create_by_hand()
        pod = bench.api.wait_pod(bench.namespace, uid)["metadata"]["name"]
        state = {"waiting": {"reason": "Succeeded", "message": "as if it were"}}
        container = {"name": "factotum", "image": "i", "imageID": "", "ready": False}
        container |= {"restartCount": 0, "state": state}
        status = {"phase": "Pending", "containerStatuses": [container]}
        bench.api.patch(f"{pods_path(bench.namespace, pod)}/status", {"status": status})
        told = bench.api.wait_for(path, lambda job: "state" in job["status"], "told of")

    assert (told["status"]["state"], told["status"]["reason"]) == ("QUEUED", "PodPending")
    assert "Succeeded: as if it were" in told["status"]["message"]
