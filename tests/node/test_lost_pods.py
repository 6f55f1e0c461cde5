"""Pods that end before their run does, on a real kubelet: never a success, nothing run again.

Real: kubelet, containerd, images, chart. The task ends with 0 when it is told to stop, which is
what makes a false success easy.
"""

import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import PodWatch, jobs_path, pods_path

OBLIGING = "trap 'exit 0' TERM; sleep 60 & wait; echo"


@pytest.fixture
def running(api, namespace):
    """A job whose second task runs, and a watch of all its Pods."""
    factfile = make_factfile(
        make_task("before"), make_task("obliging", "before", command=OBLIGING), make_task("c")
    )
    with PodWatch(api, namespace) as watch:
        api.create_job(make_job(namespace, factfile, activeDeadlineSeconds=120))
        job = api.wait_for(jobs_path(namespace, "job"), is_obliging, "running its second task")
        yield job, watch


def is_obliging(job):
    tasks = job.get("status", {}).get("tasks") or ()
    return any(t["name"] == "obliging" and t["state"] == "RUNNING" for t in tasks)


def ended(api, namespace, watch):
    """Wait for the end and give what matters of it."""
    began = time.monotonic()
    status = api.wait_done(namespace, seconds=90)
    time.sleep(1)
    states = {task["name"]: task["state"] for task in status["tasks"]}
    print(f"{status['reason']}: {status['message']} ({time.monotonic() - began:.1f} s)")
    assert len(watch.pods) == 1
    return status["outcome"], status["reason"], states["before"], states["obliging"]


def test_evicted_pod_is_no_success(api, namespace, running):
    job, watch = running
    name = job["status"]["claim"]["podName"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    api.create(f"{pods_path(namespace, name)}/eviction", eviction)

    assert ended(api, namespace, watch) == ("FAILED", "Evicted", "SUCCEEDED", "FAILED")


def test_pod_deleted_without_grace_is_no_success(api, namespace, running):
    job, watch = running
    api.delete(pods_path(namespace, job["status"]["claim"]["podName"]), grace=0)

    outcome, reason, *tasks = ended(api, namespace, watch)
    assert (outcome, tasks) == ("FAILED", ["SUCCEEDED", "FAILED"])
    assert reason in ("Interrupted", "Lost")  # whether its last report came through


def test_runner_killed_from_inside_is_no_success(kubelet, api, namespace, running):
    job, watch = running
    pod = job["status"]["claim"]["podName"]
    # PID 1 ignores what it does not handle; SIGTERM it does handle.
    kubelet.kubectl("exec", "-n", namespace, pod, "--", "sh", "-c", "kill -TERM 1")

    assert ended(api, namespace, watch) == ("FAILED", "Interrupted", "SUCCEEDED", "FAILED")


def test_deadline_is_no_success(api, namespace):
    task = make_task("obliging", command=OBLIGING)
    with PodWatch(api, namespace) as watch:
        api.create_job(make_job(namespace, make_factfile(task), activeDeadlineSeconds=8))
        status = api.wait_done(namespace, seconds=60)
        time.sleep(1)

    print(f"{status['reason']}: {status['message']}")
    assert (status["outcome"], status["reason"]) == ("FAILED", "DeadlineExceeded")
    assert status["tasks"][0]["state"] == "FAILED"
    assert len(watch.pods) == 1
