"""How a job comes to wait, for each reason of ours.

Real: what keeps the job waiting; of Pods that do not start the test is the kubelet.
"""

import json
import time

from cluster.reasons.catalogue import brings_about
from cluster.reasons.scene import Scene
from factotum.core.words.reasons import Reason
from support.cluster.admission import refused_by, webhook
from support.cluster.hosts import node_named
from support.cluster.people import unreadable
from support.consul.process import free_ports

FACTFILES, TO_COME, SECRETIVE = "factfiles", "factfiles-to-come", "secretive"
"""Names of ConfigMaps; the operator may not read the last one."""
READABLE = (FACTFILES, TO_COME)
RESUME = "factotum.snowplowanalytics.com/resume"


def from_config_map(name: str, key: str) -> dict[str, object]:
    """Return a reference to a factfile in a ConfigMap."""
    return {"configMapKeyRef": {"name": name, "key": key}}


@brings_about(
    Reason.WAITING_FOR_WORKER,
    "as many jobs at work as `--max-workers`, then one more",
    is_tight=True,
)
def waiting_for_worker(scene: Scene) -> None:
    # One of the two workers has the job that is prepared for later.
    scene.create_by_hand(name="busy", factfile=None)
    scene.api.wait_pod(scene.namespace, scene.uid("busy"))
    scene.create_by_hand()


@brings_about(Reason.QUEUE_FULL, "as many jobs wait as `--max-jobs`, then one more", is_tight=True)
def queue_full(scene: Scene) -> None:
    time.sleep(1.1)  # who waits is sorted by the second
    scene.create_by_hand()


@brings_about(Reason.WAITING_FOR_JOB_ID, "a job of the same factfile has a Pod")
def waiting_for_job_id(scene: Scene) -> None:
    holder = scene.create_by_hand(name=f"{scene.name}-holder")
    scene.api.wait_pod(scene.namespace, scene.uid(holder))
    scene.create()


@brings_about(Reason.FACTFILE_NOT_FOUND, "`factfileFrom` names a ConfigMap that is not there")
def factfile_not_found(scene: Scene) -> None:
    scene.create(factfileFrom=from_config_map(TO_COME, "job"))


@brings_about(
    Reason.FACTFILE_UNREADABLE, "the operator's role lets it read other ConfigMaps only", seconds=5
)
def factfile_unreadable(scene: Scene) -> None:
    scene.put("configmaps", SECRETIVE, data={"job": json.dumps(scene.factfile())})
    scene.during(unreadable(scene.api, scene.namespace, SECRETIVE, but=READABLE))
    scene.create(factfileFrom=from_config_map(SECRETIVE, "job"))


@brings_about(
    Reason.HOST_CONSTRAINT_UNRESOLVED,
    "`constraints.host` is a name, and nobody answers as resolver",
)
def host_constraint_unresolved(scene: Scene) -> None:
    scene.create(host="etl.example.com")


@brings_about(Reason.NODE_NOT_READY, "the Node of `constraints.host` is cordoned")
def node_not_ready(scene: Scene) -> None:
    name = f"cordoned-{scene.name}"
    scene.during(node_named(scene.api, name, unschedulable=True))
    scene.create(host=name)


@brings_about(Reason.POD_FORBIDDEN, "a ResourceQuota of no Pods", is_alone=True)
def pod_forbidden(scene: Scene) -> None:
    scene.put("resourcequotas", "none", spec={"hard": {"pods": "0"}})
    path = f"{scene.collection('resourcequotas')}/none"
    scene.api.wait_for(path, lambda q: bool(q.get("status", {}).get("hard")), "in force")
    scene.create()


@brings_about(
    Reason.POD_NOT_CREATED,
    "an admission webhook for Pods that nobody serves",
    seconds=5,
    is_alone=True,
)
def pod_not_created(scene: Scene) -> None:
    (nowhere,) = free_ports(1)
    scene.during(webhook(scene.api, scene.namespace, nowhere))
    refused_by(scene.api, scene.namespace, "pods.example.com")
    scene.create()


@brings_about(Reason.POD_PENDING, "the kubelet says nothing of the Pod for 5 s", seconds=5)
def pod_pending(scene: Scene) -> None:
    scene.create_by_hand()


@brings_about(
    Reason.IMAGE_PULL_BACK_OFF, "the kubelet says ErrImagePull, then ImagePullBackOff", seconds=7
)
def image_pull_back_off(scene: Scene) -> None:
    scene.create_by_hand()
    kubelet = scene.kubelet()
    kubelet.waits("ErrImagePull", "failed to resolve reference: no such host")
    scene.wait_reason(Reason.IMAGE_PULL_BACK_OFF)
    cause = 'Back-off pulling image "i": ErrImagePull: failed to resolve reference: no such host'
    kubelet.waits("ImagePullBackOff", cause)


@brings_about(
    Reason.RUNNER_NOT_HEARD, "the Pod runs for 10 s and its runner asks for nothing", seconds=10
)
def runner_not_heard(scene: Scene) -> None:
    scene.create_by_hand()
    scene.kubelet().runs()


@brings_about(Reason.RELAUNCHING, "the Pod is deleted before its runner asks for the job")
def relaunching(scene: Scene) -> None:
    scene.create_by_hand()
    # Not by force: of a Pod that is gone at once another one is made, and nothing told.
    scene.delete_pod()


@brings_about(Reason.RETRYING, "the task fails, and `retry` has another attempt in an hour")
def retrying(scene: Scene) -> None:
    scene.create("false", retry={"limit": 1, "backoffSeconds": 3600})


@brings_about(Reason.RESUMED, "the annotation `resume` on a job that has failed")
def resumed(scene: Scene) -> None:
    scene.create_by_hand()
    assert scene.claimed().report("c" * 32, 2, "F", final=True)[0] == 200
    # The first attempt's Pod goes on, so the second one is not made yet.
    scene.api.patch(scene.path(), {"metadata": {"annotations": {RESUME: "now"}}})


@brings_about(Reason.SUSPENDED, "`desiredState: Suspend` while the task runs")
def suspended(scene: Scene) -> None:
    scene.create("sleep 60")
    scene.wait_running()
    scene.desire("Suspend")
