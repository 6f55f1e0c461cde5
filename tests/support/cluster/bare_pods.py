"""Plain Pods of the runner's image: what a job is measured against."""

from typing import Any

from support.cluster.kube_api import KubeApi, RawObject, pods_path

IMAGE = "localhost/factotum-runner:0.1.0"


def make_pod(namespace: str, name: str, script: str) -> dict[str, Any]:
    """Build a Pod as `kubectl run` does, with what a restricted namespace asks for."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", script],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def wait_ended(api: KubeApi, namespace: str, name: str, *, seconds: float = 60.0) -> RawObject:
    """Wait until a Pod's first container has terminated, so that its log is whole."""
    return api.wait_for(pods_path(namespace, name), _has_ended, "ended", seconds=seconds)


def _has_ended(pod: RawObject) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return "terminated" in statuses[0].get("state", {})
