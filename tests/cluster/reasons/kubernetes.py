"""How Kubernetes' own words come into a job: of a Pod that waits, or was lost.

Real: scheduler, taint manager and admission of the control plane, and the test node's kubelet; a
node that shuts down is played by the test.
"""

from cluster.reasons.catalogue import brings_about
from cluster.reasons.scene import CLAIM, Scene
from support.cluster.admission import changing
from support.cluster.hosts import node_named
from support.cluster.kube_api import pods_path

_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


# --- a Pod that waits --------------------------------------------------------------------


@brings_about(
    "Unschedulable",
    "a LimitRange asks for more storage than any Node has",
    seconds=5,
    is_alone=True,
)
def unschedulable(scene: Scene) -> None:
    request = {"type": "Container", "defaultRequest": {"ephemeral-storage": "900Ti"}}
    scene.put("limitranges", "huge", spec={"limits": [request]})
    scene.create()


@brings_about(
    "SchedulingGated", "a mutating webhook gives the Pod a gate", seconds=5, is_alone=True
)
def scheduling_gated(scene: Scene) -> None:
    gate = {"op": "add", "path": "/spec/schedulingGates", "value": [{"name": "example.com/gate"}]}
    scene.during(changing(scene.api, scene.namespace, gate))

    def is_gated() -> bool:
        probe = {"name": "c", "image": "none"}
        body = {"metadata": {"name": "probe"}, "spec": {"containers": [probe]}}
        made = scene.api.create(f"{pods_path(scene.namespace)}?dryRun=All", body)
        return "schedulingGates" in made["spec"]

    scene.wait_until(is_gated, "gated")
    scene.create()


@brings_about("CreateContainerConfigError", "`envFrom` names a Secret that is not there", seconds=5)
def create_container_config_error(scene: Scene) -> None:
    scene.create(envFrom=[{"secretRef": {"name": "absent"}}])


# --- a Pod that was lost -----------------------------------------------------------------


@brings_about("Preempting", "the scheduler makes room on the Node for a Pod of a higher priority")
def preempting(scene: Scene) -> None:
    node, more = f"small-{scene.name}", f"more-{scene.name}"
    scene.during(node_named(scene.api, node, pods=1))
    scene.create(host=node)
    scene.claimed()
    kubelet = scene.kubelet()
    scene.api.create(_CLASSES, {"metadata": {"name": more}, "value": 1000})
    scene.put(
        "pods",
        more,
        spec={
            "priorityClassName": more,
            "nodeSelector": {"kubernetes.io/hostname": f"label-of-{node}"},
            "containers": [{"name": "c", "image": "none"}],
        },
    )
    kubelet.wait_disrupted()
    kubelet.ends(143)
    scene.api.delete(f"{_CLASSES}/{more}")


@brings_about("NodeLost", "the Node gets a taint that the Pod does not tolerate")
def node_lost(scene: Scene) -> None:
    node = f"tainted-{scene.name}"
    scene.during(node_named(scene.api, node))
    scene.create(host=node)
    scene.claimed()
    kubelet = scene.kubelet()
    taint = {"key": "example.com/gone", "effect": "NoExecute"}
    scene.api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [taint]}})
    kubelet.wait_disrupted()
    kubelet.ends(143)


@brings_about(
    "Shutdown", "the kubelet ends the Pod since its Node shuts down; its runner tells first"
)
def shutdown(scene: Scene) -> None:
    scene.create_by_hand()
    runner = scene.claimed()
    # A kubelet says why only once the container has ended, and the runner waits for its answer.
    assert runner.report(CLAIM, 2, "F", final=True, interrupted=1)[0] == 200
    scene.kubelet().ends(
        2,
        pod_reason="Terminated",
        message="Pod was terminated in response to imminent node shutdown.",
        disruption="TerminationByKubelet",
    )
