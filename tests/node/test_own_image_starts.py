"""From apply to the first task's start in an image of the job's own, against what it could be.

Real: kubelet, containerd, images, chart. Taken in turn on one machine: a bare Pod of that image,
one with an init container that copies the same folder, a job in that image, and one in ours.
"""

import re
import statistics
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import bare_pods, foreign_images
from support.cluster.acceptance import report, sized
from support.cluster.kube_api import pods_path

CLOCK = make_factfile(make_task("clock", command="date", arguments=["+%s.%N"]))
VOLUME = {"name": "folder", "emptyDir": {}}


@pytest.fixture(scope="module")
def image(kubelet, tmp_path_factory):
    """A small Debian that has nothing of ours."""
    made = next(i for i in foreign_images.all_of_them("") if i.name == "debian-11")
    kubelet.load(str(made.archive(tmp_path_factory.mktemp("images"))))
    return made.tag


def first_time(kubelet, namespace, pod):
    log = kubelet.kubectl("logs", "-n", namespace, "-c", "factotum", pod)
    found = re.search(r"\b\d{10}\.\d{9}\b", log)
    assert found, log
    return float(found[0])


def bare(api, kubelet, namespace, name, image, *, copies):
    pod = bare_pods.make_pod(namespace, name, "date +%s.%N")
    (container,) = pod["spec"]["containers"]
    if copies:
        pod["spec"]["volumes"] = [VOLUME]
        first = container | {
            "name": "first",
            "command": ["cp", "-R", "/opt/factotum/portable/.", "/folder"],
            "volumeMounts": [{"name": "folder", "mountPath": "/folder"}],
        }
        pod["spec"]["initContainers"] = [first]
        container["volumeMounts"] = [{"name": "folder", "mountPath": "/folder", "readOnly": True}]
    container |= {"image": image, "name": "factotum"}
    began = time.time()
    api.create(pods_path(namespace), pod)
    bare_pods.wait_ended(api, namespace, name)
    return first_time(kubelet, namespace, name) - began


def job(api, kubelet, namespace, name, **spec):
    manifest = make_job(namespace, CLOCK, name=name, duplicatePolicy="Allow", **spec)
    began = time.time()
    api.create_job(manifest)
    status = api.wait_done(namespace, name)
    assert status["outcome"] == "SUCCEEDED"
    pod = status["claim"]["podName"]
    bare_pods.wait_ended(api, namespace, pod)
    return first_time(kubelet, namespace, pod) - began


def measured(kinds, runs):
    """Take each kind in turn; give the medians, and the worst of all."""
    taken = {kind: [] for kind in kinds}
    for number in range(runs + 1):
        for kind, take in kinds.items():
            seconds = take(f"{kind.replace('_', '-')}-{number}")
            if number:  # the first is for warming up
                taken[kind].append(seconds)
    return {f"{kind}_median": statistics.median(seconds) for kind, seconds in taken.items()}


@pytest.mark.acceptance
def test_a_mounted_runner_costs_an_image_of_ones_own_next_to_nothing(
    kubelet, api, namespace, image
):
    figures = measured(
        {
            "bare": lambda name: bare(api, kubelet, namespace, name, image, copies=False),
            "own_image": lambda name: job(api, kubelet, namespace, name, image=image),
            "runner_image": lambda name: job(api, kubelet, namespace, name),
        },
        sized(20, 8),
    )

    more = figures["own_image_median"] - figures["runner_image_median"]
    ratio = figures["own_image_median"] / figures["bare_median"]
    report("own image, mounted", **figures, more=more, goal=0.3, ratio_to_bare=ratio)
    # The goal is told, not enforced: on a busy machine it sways. A tail must not.
    assert ratio < 2


@pytest.mark.acceptance
@pytest.mark.usefixtures("copying_operator")
def test_a_copied_runner_costs_what_copying_costs(kubelet, api, namespace, image):
    figures = measured(
        {
            "bare_copying": lambda name: bare(api, kubelet, namespace, name, image, copies=True),
            "own_image": lambda name: job(api, kubelet, namespace, name, image=image),
            "runner_image": lambda name: job(api, kubelet, namespace, name),
        },
        sized(20, 5),
    )

    more = figures["own_image_median"] - figures["runner_image_median"]
    ratio = figures["own_image_median"] / figures["bare_copying_median"]
    report("own image, copied", **figures, more=more, ratio_to_bare_copying=ratio)
    # A second of it is the kubelet's, which looks that often whether an init container has ended.
    assert ratio < 2
