"""What is done to a world: one function a kind, in a table.

A function does its thing, undoes it if it lasts, and notes in the journal whom it really hit.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaos.api_server import ApiServer
from chaos.behaviours import Act
from chaos.plan import NODES, REPLICAS, Disturbance
from chaos.scene import Scene
from support.cluster.kube_api import MERGE_PATCH, RawObject, jobs_path, pods_path
from support.cluster.operator_process import OperatorProcess
from support.consul.process import ConsulProcess

GROUP = "factotum.snowplowanalytics.com"
LABEL_JOB_UID = f"{GROUP}/job-uid"
RESUME = f"{GROUP}/resume"
_CONTAINER = "FACTOTUM_TEST_NODE_CONTAINER"
_FROZEN_SECONDS = 3.0
_START_TIME = 19
"""Its place in /proc/PID/stat, behind the program's name."""
_START_SECONDS = 5.0
"""How long a Pod's runner may take to be there."""

# --- the whole --------------------------------------------------------------------------


def operator_killed(scene: Scene, one: Disturbance) -> None:
    """Kill an operator and start it again."""
    with scene.world.locks["operator"]:
        _kill(scene.world.operators[one.number % REPLICAS], one)


def operator_frozen(scene: Scene, one: Disturbance) -> None:
    """Let an operator stand still."""
    with scene.world.locks["operator"]:
        _freeze(scene.world.operators[one.number % REPLICAS], one)


def leader_killed(scene: Scene, one: Disturbance) -> None:
    """Kill the operator that leads, and start it again."""
    with scene.world.locks["operator"]:
        _kill(scene.world.leader(), one)


def leader_frozen(scene: Scene, one: Disturbance) -> None:
    """Let the operator that leads stand still."""
    with scene.world.locks["operator"]:
        _freeze(scene.world.leader(), one)


def api_server_killed(scene: Scene, one: Disturbance) -> None:
    """Kill the API server and start it again."""
    with scene.world.locks["api"]:
        _kill(scene.world.api_server, one)


def api_server_frozen(scene: Scene, one: Disturbance) -> None:
    """Let the API server stand still."""
    with scene.world.locks["api"]:
        _freeze(scene.world.api_server, one)


def consul_stopped(scene: Scene, one: Disturbance) -> None:
    """Stop Consul and start it again, its data kept."""
    with scene.world.locks["consul"]:
        _kill(scene.world.consul, one)


def consul_frozen(scene: Scene, one: Disturbance) -> None:
    """Let Consul accept connections and never answer."""
    with scene.world.locks["consul"]:
        _freeze(scene.world.consul, one)


Process = OperatorProcess | ApiServer | ConsulProcess


def _kill(process: Process, one: Disturbance) -> None:
    process.kill()
    time.sleep(one.seconds)
    process.start()


def _freeze(process: Process, one: Disturbance) -> None:
    with suppress(AssertionError, ProcessLookupError):  # an operator has ended by itself
        process.freeze()
        time.sleep(one.seconds)
        process.thaw()


def lines_cut(scene: Scene, one: Disturbance) -> None:
    """Close every connection at once, of the operator's to the API server or of Pods' to it."""
    proxies = (scene.world.api_proxy, scene.world.claims_proxy)
    proxies[one.number % 2].cut()


def node_not_ready(scene: Scene, one: Disturbance) -> None:
    """Have a node say that it is not ready."""
    path = f"{_node(one)}/status"
    with scene.world.locks["nodes"]:
        for status in ("False", "True"):
            ready = {"type": "Ready", "status": status, "reason": "Chaos", "message": ""}
            body = {"status": {"conditions": [ready]}}
            kind = "application/strategic-merge-patch+json"
            scene.world.request("PATCH", path, body, kind=kind)
            time.sleep(one.seconds if status == "False" else 0)


def node_cordoned(scene: Scene, one: Disturbance) -> None:
    """Let nothing new onto a node for a while."""
    with scene.world.locks["nodes"]:
        _cordon(scene, one, is_on=True)
        time.sleep(one.seconds)
        _cordon(scene, one, is_on=False)


def node_drained(scene: Scene, one: Disturbance) -> None:
    """Cordon a node and evict every Pod there."""
    with scene.world.locks["nodes"]:
        _cordon(scene, one, is_on=True)
        node = _node(one).rpartition("/")[2]
        for pod in scene.living_pods():
            if pod["spec"].get("nodeName") == node:
                name = pod["metadata"]["name"]
                body = {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": name, "namespace": scene.world.namespace},
                }
                path = f"{pods_path(scene.world.namespace, name)}/eviction"
                scene.world.journal.note("Pod evicted", [scene.job_of(pod)], name)
                scene.world.request("POST", path, body)
        time.sleep(one.seconds)
        _cordon(scene, one, is_on=False)


def _node(one: Disturbance) -> str:
    return f"/api/v1/nodes/fake-{one.number % NODES + 1}"


def _cordon(scene: Scene, one: Disturbance, *, is_on: bool) -> None:
    body = {"spec": {"unschedulable": is_on or None}}
    scene.world.request("PATCH", _node(one), body, kind=MERGE_PATCH)


# --- one job or its Pod ---------------------------------------------------------------------


def pod_deleted(scene: Scene, act: Act) -> bool:
    """Delete the job's Pod, with its grace."""
    return _delete_pod(scene, act, {})


def pod_deleted_by_force(scene: Scene, act: Act) -> bool:
    """Delete the job's Pod without a moment of grace."""
    return _delete_pod(scene, act, {"gracePeriodSeconds": 0})


def _delete_pod(scene: Scene, act: Act, body: RawObject) -> bool:
    pod = scene.pod_of(act.job)
    if pod is None:
        return False
    body = body | {"preconditions": {"uid": pod["metadata"]["uid"]}}
    path = pods_path(scene.world.namespace, pod["metadata"]["name"])
    scene.world.request("DELETE", path, body)
    return True


def pod_orphaned(scene: Scene, act: Act) -> bool:
    """Take the owner reference off the job's Pod."""
    return _patch_pod(scene, act, {"ownerReferences": None})


def pod_unlabelled(scene: Scene, act: Act) -> bool:
    """Take off the label by which the operator watches."""
    return _patch_pod(scene, act, {"labels": {LABEL_JOB_UID: None}})


def pod_relabelled(scene: Scene, act: Act) -> bool:
    """Have the label name another job."""
    others = [uid for uid, name in scene.world.names.copy().items() if name != act.job]
    return _patch_pod(scene, act, {"labels": {LABEL_JOB_UID: others[0] if others else "nobody"}})


def _patch_pod(scene: Scene, act: Act, metadata: RawObject) -> bool:
    pod = scene.pod_of(act.job)
    if pod is None:
        return False
    path = pods_path(scene.world.namespace, pod["metadata"]["name"])
    return scene.world.request("PATCH", path, {"metadata": metadata}, kind=MERGE_PATCH) is not None


def runner_killed(scene: Scene, act: Act) -> bool:
    """Kill the runner, as the kernel does when memory runs out."""
    return _signal_runner(scene, act, signal.SIGKILL)


def runner_frozen(scene: Scene, act: Act) -> bool:
    """Let the runner stand still for a moment."""
    if not _signal_runner(scene, act, signal.SIGSTOP):
        return False
    time.sleep(_FROZEN_SECONDS)
    _signal_runner(scene, act, signal.SIGCONT)
    return True


def _signal_runner(scene: Scene, act: Act, number: signal.Signals) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while (pod := scene.pod_of(act.job)) is not None and time.monotonic() < deadline:
        pid = _runner_of(pod["metadata"]["uid"])
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                return True
        time.sleep(0.05)
    return False


def _runner_of(pod_uid: str) -> int | None:
    """Find the first process of a Pod: its tasks have its mark too, and came later.

    By when they came, for process ids begin anew at some time.
    """
    mark = f"{_CONTAINER}={pod_uid}-1".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                found.append((int(words[_START_TIME]), int(entry.name)))
    return min(found, default=(0, None))[1]


def job_deleted(scene: Scene, act: Act) -> bool:
    """Delete the job, its Pods with it."""
    return _delete_job(scene, act, "Background")


def job_deleted_pods_left(scene: Scene, act: Act) -> bool:
    """Delete the job and leave its Pods."""
    return _delete_job(scene, act, "Orphan")


def _delete_job(scene: Scene, act: Act, policy: str) -> bool:
    path = jobs_path(scene.world.namespace, act.job)
    # Noted before: from now on it may go at any moment.
    scene.world.journal.note("deletion", [act.job], policy)
    return scene.world.request("DELETE", path, {"propagationPolicy": policy}) is not None


# --- orders of its owner --------------------------------------------------------------------


def _desire(state: str) -> Callable[[Scene, Act], bool]:
    def order(scene: Scene, act: Act) -> bool:
        path = jobs_path(scene.world.namespace, act.job)
        body = {"spec": {"desiredState": state}}
        return scene.world.request("PATCH", path, body, kind=MERGE_PATCH) is not None

    return order


def resume(scene: Scene, act: Act) -> bool:
    """Ask for a new attempt."""
    path = jobs_path(scene.world.namespace, act.job)
    body = {"metadata": {"annotations": {RESUME: f"{time.time_ns()}"}}}
    return scene.world.request("PATCH", path, body, kind=MERGE_PATCH) is not None


WHOLE: dict[str, Callable[[Scene, Disturbance], None]] = {
    "operator killed": operator_killed,
    "operator frozen": operator_frozen,
    "leader killed": leader_killed,
    "leader frozen": leader_frozen,
    "API server killed": api_server_killed,
    "API server frozen": api_server_frozen,
    "Consul stopped": consul_stopped,
    "Consul frozen": consul_frozen,
    "lines cut": lines_cut,
    "node not ready": node_not_ready,
    "node cordoned": node_cordoned,
    "node drained": node_drained,
}

SINGLE: dict[str, Callable[[Scene, Act], bool]] = {
    "Pod deleted": pod_deleted,
    "Pod deleted by force": pod_deleted_by_force,
    "Pod orphaned": pod_orphaned,
    "Pod unlabelled": pod_unlabelled,
    "Pod relabelled": pod_relabelled,
    "runner killed": runner_killed,
    "runner frozen": runner_frozen,
    "job deleted": job_deleted,
    "job deleted, Pods left": job_deleted_pods_left,
    "suspend": _desire("Suspend"),
    "run": _desire("Run"),
    "cancel": _desire("Cancel"),
    "resume": resume,
}
"""Each tells whether it hit anything."""
