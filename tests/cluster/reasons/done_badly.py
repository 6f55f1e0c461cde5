"""How a job comes to fail, for each reason of ours.

Real: the runner where the run itself fails; where its Pod does, the API server's part of it, and
the test is the kubelet.
"""

import json

from cluster.reasons.catalogue import brings_about
from cluster.reasons.scene import CLAIM, Scene
from cluster.reasons.waiting import FACTFILES, from_config_map
from factotum.core.words.reasons import Reason
from support.builders.manifests import make_factfile, make_task
from support.cluster.admission import changing, refused_by
from support.cluster.hosts import node_named
from support.cluster.kube_api import pods_path

# --- the run -----------------------------------------------------------------------------


@brings_about(Reason.TASK_FAILED, "the task returns 1")
def task_failed(scene: Scene) -> None:
    scene.create("false")


@brings_about(Reason.NOT_RUN, "the webhook's URL, from a Secret, is none")
def not_run(scene: Scene) -> None:
    scene.put("secrets", "no-url", stringData={"url": "nowhere"})
    scene.create(webhook={"urlFrom": {"secretKeyRef": {"name": "no-url", "key": "url"}}})


@brings_about(Reason.INTERRUPTED, "the Pod is deleted while the task runs")
def interrupted(scene: Scene) -> None:
    scene.create("sleep 60")
    scene.wait_running()
    scene.delete_pod()


@brings_about(
    Reason.DEADLINE_EXCEEDED, "the task takes longer than `activeDeadlineSeconds`", seconds=3
)
def deadline_exceeded(scene: Scene) -> None:
    scene.create("sleep 60", activeDeadlineSeconds=2)


@brings_about(Reason.CANCELLED, "`desiredState: Cancel` while the task runs")
def cancelled(scene: Scene) -> None:
    scene.create("sleep 60")
    scene.wait_running()
    scene.desire("Cancel")


@brings_about(Reason.LOST, "the runner is killed by its own task")
def lost(scene: Scene) -> None:
    scene.create("sleep 0.5; kill -9 $PPID; sleep 5")


# --- its Pod -----------------------------------------------------------------------------


@brings_about(Reason.OOM_KILLED, "the kubelet says OOMKilled of the runner's container")
def oom_killed(scene: Scene) -> None:
    scene.create_by_hand()
    scene.claimed()
    scene.kubelet().ends(137, "OOMKilled")


@brings_about(Reason.EVICTED, "the Pod is evicted by the API, as `kubectl drain` does")
def evicted(scene: Scene) -> None:
    scene.create("sleep 60")
    scene.wait_running()
    name = scene.pod()["metadata"]["name"]
    metadata = {"name": name, "namespace": scene.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    scene.api.create(f"{pods_path(scene.namespace, name)}/eviction", eviction)


@brings_about(
    Reason.LAUNCH_FAILED,
    "six Pods end before their runner asks for the job (the test shortens the pauses)",
    seconds=5,
)
def launch_failed(scene: Scene) -> None:
    scene.create_by_hand()
    for number in range(1, 7):
        kubelet = scene.kubelet()
        kubelet.ends(128, "StartError")
        if number < 6:
            scene.api.wait_for(
                scene.path(),
                lambda job, n=number: job["status"].get("launch") == n + 1,
                "relaunched",
            )
            scene.api.patch(f"{scene.path()}/status", {"status": {"nextLaunchTime": None}})


# --- the job -----------------------------------------------------------------------------


@brings_about(Reason.DELETED, "the job is deleted before its start, and a finalizer keeps it")
def deleted(scene: Scene) -> None:
    scene.create_by_hand(finalizers=["example.com/kept"])
    scene.pod()
    scene.api.delete(scene.path())


@brings_about(Reason.INVALID_FACTFILE, "the ConfigMap's text is no JSON")
def invalid_factfile(scene: Scene) -> None:
    scene.put("configmaps", FACTFILES, data={"broken": "{"})
    scene.create(factfileFrom=from_config_map(FACTFILES, "broken"))


@brings_about(Reason.INVALID_START, "`start` names no task")
def invalid_start(scene: Scene) -> None:
    scene.create(start="nowhere")


def accept_a_factfile(scene: Scene) -> None:
    """Have a Pod made for one content; what was accepted is known by the Pod alone."""
    scene.put("configmaps", FACTFILES, data={"job": json.dumps(scene.factfile())})
    scene.create_by_hand(factfileFrom=from_config_map(FACTFILES, "job"))
    scene.pod()


@brings_about(
    Reason.FACTFILE_CHANGED,
    "the ConfigMap changes while the operator is away, then the Pod's runner asks for the job",
    prepare=accept_a_factfile,
)
def factfile_changed(scene: Scene) -> None:
    other = make_factfile(make_task("another"))
    scene.put("configmaps", FACTFILES, data={"job": json.dumps(other)})
    assert scene.runner().claim(CLAIM)[0] == 410


@brings_about(Reason.HOST_CONSTRAINT_AMBIGUOUS, "`constraints.host` is an address of two Nodes")
def host_constraint_ambiguous(scene: Scene) -> None:
    address = ("InternalIP", "192.0.2.78")
    for twin in ("a", "b"):
        scene.during(node_named(scene.api, f"twin-{twin}-{scene.name}", address))
    scene.create(host=address[1])


@brings_about(Reason.DUPLICATE, "a job of the same factfile has a Pod; `duplicatePolicy: Reject`")
def duplicate(scene: Scene) -> None:
    holder = scene.create_by_hand(name=f"{scene.name}-holder")
    scene.api.wait_pod(scene.namespace, scene.uid(holder))
    scene.create(duplicatePolicy="Reject")


@brings_about(Reason.INVALID_POD_TEMPLATE, "`podTemplate` gives the Pod a restart policy")
def invalid_pod_template(scene: Scene) -> None:
    scene.create(podTemplate={"spec": {"restartPolicy": "OnFailure"}})


@brings_about(
    Reason.POD_REJECTED,
    "a mutating webhook gives the Pod a pull policy that there is not",
    is_alone=True,
)
def pod_rejected(scene: Scene) -> None:
    bad = {"op": "replace", "path": "/spec/containers/0/imagePullPolicy", "value": "Sometimes"}
    scene.during(changing(scene.api, scene.namespace, bad))
    refused_by(scene.api, scene.namespace, "imagePullPolicy")
    scene.create()
