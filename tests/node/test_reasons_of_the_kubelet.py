"""Reasons that only a real kubelet has the word for, and what it says, in its words.

Real: kubelet, containerd, images, chart, the kernel's memory limit; a registry that is not there.
"""

import contextlib
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.clusters import ROOT
from support.cluster.kube_api import PodWatch, jobs_path, pods_path

SYSTEM = "factotum-system"
CHART = str(ROOT / "charts" / "factotum-operator")
HUNGRY = "cat /dev/zero > /dev/shm/all"
"""Takes the container's memory as a file: of its processes the kernel then ends the largest."""


def wait_reason(api, namespace, reason, *, seconds=60.0):
    job = api.wait_for(
        jobs_path(namespace, "job"),
        lambda job: job.get("status", {}).get("reason") == reason,
        reason,
        seconds=seconds,
    )
    print(f"{reason}: {job['status']['message']}")
    return job["status"]


def warnings(api, namespace):
    """Give the Warnings about the job, with their counts."""
    events = api.items(f"/api/v1/namespaces/{namespace}/events")
    ours = [e for e in events if e["involvedObject"]["kind"] == "FactotumJob"]
    return [(e["reason"], e["count"]) for e in ours if e["type"] == "Warning"]


@contextlib.contextmanager
def operator_set(kubelet, *values):
    """Have the operator run with other values of the chart."""
    upgrade = ("upgrade", "factotum-operator", CHART, "-n", SYSTEM, "--wait", "--timeout", "120s")
    more = [word for value in values for word in ("--set", value)]
    before = kubelet.run("helm", "get", "values", "factotum-operator", "-n", SYSTEM, "-o", "json")
    kubelet.run("helm", *upgrade, "--reuse-values", *more, timeout=150)
    try:
        yield
    finally:
        kubelet.run("helm", *upgrade, "--values", "-", text=before, timeout=150)


@pytest.fixture
def narrow(api, namespace):
    """Give Pods of the namespace little memory, and so the runner's container."""
    limits = [{"type": "Container", "default": {"memory": "48Mi"}}]
    body = {"metadata": {"name": "narrow"}, "spec": {"limits": limits}}
    api.create(f"/api/v1/namespaces/{namespace}/limitranges", body)


def test_a_container_that_runs_out_of_memory_is_told_by_the_kernels_word(api, namespace, narrow):
    tasks = make_task("before"), make_task("hungry", "before", command=HUNGRY, arguments=[])
    with PodWatch(api, namespace) as watch:
        api.create_job(make_job(namespace, make_factfile(*tasks)))
        status = api.wait_done(namespace, seconds=90)

    states = [task["state"] for task in status["tasks"]]
    print(f"{status['reason']}: {status['message']}")
    assert (status["outcome"], status["reason"]) == ("FAILED", "OOMKilled")
    assert states == ["SUCCEEDED", "FAILED"]
    assert len(watch.pods) == 1


@pytest.mark.longer
def test_an_image_that_cannot_be_pulled_is_told_once_whatever_the_kubelet_says(
    kubelet, api, namespace
):
    said = set()
    with operator_set(kubelet, "runner.image.repository=registry.invalid/factotum-runner"):
        api.create_job(make_job(namespace))
        status = wait_reason(api, namespace, "ImagePullBackOff")
        path = pods_path(namespace)

        def has_said_both(listed):
            for pod in listed["items"]:
                for container in pod["status"].get("containerStatuses") or ():
                    said.add(container["state"].get("waiting", {}).get("reason"))
            return {"ErrImagePull", "ImagePullBackOff"} <= said

        api.wait_for(path, has_said_both, "told in both words", seconds=60)
        then = api.job(namespace)["status"]
        told = warnings(api, namespace)
        api.delete(jobs_path(namespace, "job"))

    assert "registry.invalid" in status["message"]
    assert (then["reason"], then["message"]) == ("ImagePullBackOff", status["message"])
    assert told == [("ImagePullBackOff", 1)]


def test_a_secret_that_is_missing_is_told_and_the_job_runs_once_it_is_there(api, namespace):
    secret = make_factfile(make_task(command="test", arguments=["$WORD", "=", "sesame"]))
    api.create_job(make_job(namespace, secret, envFrom=[{"secretRef": {"name": "words"}}]))
    status = wait_reason(api, namespace, "CreateContainerConfigError")
    path = f"/api/v1/namespaces/{namespace}/secrets"
    api.create(path, {"metadata": {"name": "words"}, "stringData": {"WORD": "sesame"}})
    end = api.wait_done(namespace, seconds=90)

    assert "words" in status["message"]
    assert warnings(api, namespace) == [("CreateContainerConfigError", 1)]
    assert (end["outcome"], end["launch"]) == ("SUCCEEDED", 1)


def millicores(text):
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def free_cpu(api, node):
    """Give what of a node's processors nobody has asked for."""
    pods = api.items(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node['metadata']['name']}")
    asked = [
        container["resources"].get("requests", {}).get("cpu", "0")
        for pod in pods
        if pod["status"]["phase"] not in ("Succeeded", "Failed")
        for container in pod["spec"]["containers"]
    ]
    return millicores(node["status"]["allocatable"]["cpu"]) - sum(map(millicores, asked))


@pytest.fixture
def critical(api, namespace):
    """Have a way to make a Pod that the node must take, whatever goes for it."""
    path = pods_path("kube-system", namespace)

    def make(node, cpu):
        container = {"name": "c", "image": "localhost/factotum-runner:0.1.0"}
        container |= {"command": ["sleep", "60"], "resources": {"requests": {"cpu": f"{cpu}m"}}}
        spec = {"nodeName": node, "priorityClassName": "system-node-critical"}
        spec |= {"containers": [container], "terminationGracePeriodSeconds": 0}
        api.create(pods_path("kube-system"), {"metadata": {"name": namespace}, "spec": spec})

    yield make
    api.delete(path, grace=0)


def test_a_pod_that_the_kubelet_sends_away_has_that_for_its_reason(api, namespace, critical):
    task = make_task("obliging", command="trap 'exit 0' TERM; sleep 60 & wait; echo")
    api.create_job(make_job(namespace, make_factfile(task)))
    path = jobs_path(namespace, "job")

    def is_running(job):
        tasks = job["status"].get("tasks") or [{"state": ""}]
        return tasks[0]["state"] == "RUNNING"

    job = api.wait_for(path, is_running, "running its task")
    node = api.get(f"/api/v1/nodes/{job['status']['claim']['nodeName']}")
    # The Pod of the job asks for 10m, and is the smallest that makes room enough.
    critical(node["metadata"]["name"], free_cpu(api, node) + 5)
    status = api.wait_done(namespace, seconds=60)

    print(f"{status['reason']}: {status['message']}")
    assert (status["outcome"], status["reason"]) == ("FAILED", "Preempting")
    assert status["tasks"][0]["state"] == "FAILED"
    # An Event follows the status that it tells of.
    deadline = time.monotonic() + 10
    while not warnings(api, namespace) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert warnings(api, namespace) == [("Preempting", 1)]
