"""From apply to the first task's start, against a bare Pod of the same image.

Real: kubelet, containerd, images, chart. Both print the time as their first command, taken in turn
on one machine, so what disturbs one disturbs the other.
"""

import re
import statistics
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import bare_pods
from support.cluster.acceptance import report, sized
from support.cluster.kube_api import pods_path

GOAL = 1.15


def first_time(kubelet, namespace, pod):
    log = kubelet.kubectl("logs", "-n", namespace, pod)
    found = re.search(r"\b\d{10}\.\d{9}\b", log)
    assert found, log
    return float(found[0])


def bare(api, kubelet, namespace, number):
    name = f"bare-{number}"
    began = time.time()
    api.create(pods_path(namespace), bare_pods.make_pod(namespace, name, "date +%s.%N"))
    bare_pods.wait_ended(api, namespace, name)
    return first_time(kubelet, namespace, name) - began


def job(api, kubelet, namespace, number):
    name = f"job-{number}"
    clock = make_factfile(make_task("clock", command="date", arguments=["+%s.%N"]))
    manifest = make_job(namespace, clock, name=name)
    began = time.time()
    api.create_job(manifest)
    status = api.wait_done(namespace, name)
    assert status["outcome"] == "SUCCEEDED"
    pod = status["claim"]["podName"]
    bare_pods.wait_ended(api, namespace, pod)
    return first_time(kubelet, namespace, pod) - began


@pytest.mark.acceptance
def test_first_task_starts_almost_as_early_as_a_bare_pod(kubelet, api, namespace):
    for warm in range(2):
        bare(api, kubelet, namespace, f"warm-{warm}")
        job(api, kubelet, namespace, f"warm-{warm}")
    bares, jobs = [], []
    for number in range(sized(20, 10)):
        bares.append(bare(api, kubelet, namespace, number))
        jobs.append(job(api, kubelet, namespace, number))
    ratio = statistics.median(jobs) / statistics.median(bares)
    report(
        "8 first task",
        runs=len(jobs),
        bare_pod_median=statistics.median(bares),
        job_median=statistics.median(jobs),
        ratio=ratio,
        goal=GOAL,
        bare_pod_worst=max(bares),
        job_worst=max(jobs),
    )
    # The goal is told, not enforced: on a busy machine the ratio sways. A tail must not.
    assert ratio < 2
