"""Pod statuses as a kubelet writes them. Pure: times are given."""

from collections.abc import Mapping
from typing import Any, NamedTuple

# What a kubelet reads of the termination log, at most.
MESSAGE_BYTES = 4096


class Ending(NamedTuple):
    """How a container ended."""

    exit_code: int
    started_at: str
    finished_at: str
    message: str = ""
    reason: str = ""


def _conditions(pod: Mapping[str, Any], *, ready: bool, now: str) -> list[dict[str, Any]]:
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    kept = [
        condition
        for condition in pod.get("status", {}).get("conditions") or []
        if condition["type"] not in kinds[1:]
    ]
    values = (("Initialized", True), ("ContainersReady", ready), ("Ready", ready))
    return kept + [
        {"type": kind, "status": str(value), "lastTransitionTime": now} for kind, value in values
    ]


def _container_statuses(
    pod: Mapping[str, Any], state: Mapping[str, Any], *, ready: bool
) -> list[dict[str, Any]]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "containerID": f"test://{pod['metadata']['uid']}",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]


def waiting(pod: Mapping[str, Any], *, reason: str, message: str, now: str) -> dict[str, Any]:
    """Give the status of a Pod whose container cannot start."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {
        "phase": "Pending",
        "startTime": pod.get("status", {}).get("startTime") or now,
        "conditions": _conditions(pod, ready=False, now=now),
        "containerStatuses": _container_statuses(pod, state, ready=False),
    }


def running(pod: Mapping[str, Any], *, address: str, now: str) -> dict[str, Any]:
    """Give the status of a Pod whose container runs."""
    return {
        "phase": "Running",
        "startTime": pod.get("status", {}).get("startTime") or now,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": _conditions(pod, ready=True, now=now),
        "containerStatuses": _container_statuses(pod, {"running": {"startedAt": now}}, ready=True),
    }


def cut_message(log: bytes) -> str:
    """Cut a termination log to what a kubelet passes on: its last bytes."""
    return log[-MESSAGE_BYTES:].decode("utf-8", "ignore")


def terminated(
    pod: Mapping[str, Any], ending: Ending, *, pod_reason: str = "", now: str
) -> dict[str, Any]:
    """Give the final status; `pod_reason` (e.g. DeadlineExceeded) makes it Failed in any case."""
    good = ending.exit_code == 0 and not pod_reason
    state = {
        "terminated": {
            "exitCode": ending.exit_code,
            "reason": ending.reason or ("Completed" if ending.exit_code == 0 else "Error"),
            "message": ending.message,
            "startedAt": ending.started_at,
            "finishedAt": ending.finished_at,
            "containerID": f"test://{pod['metadata']['uid']}",
        }
    }
    status = {
        "phase": "Succeeded" if good else "Failed",
        "conditions": _conditions(pod, ready=False, now=now),
        "containerStatuses": _container_statuses(pod, state, ready=False),
    }
    if pod_reason:
        status["reason"] = pod_reason
    return status
