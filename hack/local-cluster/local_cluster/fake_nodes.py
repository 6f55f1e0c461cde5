"""Node objects without a machine behind them: hosts with names and addresses of our choice.

Pure builders and one function that creates them; who keeps them alive is in keeping.py.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster.api import Api
from local_cluster.errors import ClusterError
from local_cluster.processes import Processes

LABEL = "type"
VALUE = "fake"
SELECTOR = f"{LABEL}%3D{VALUE}"
# A Node that says "false" here is left to go stale, for tests of nodes that die.
KEEP_ANNOTATION = "factotum.test/keep-alive"

_CAPACITY = {"cpu": "1000", "memory": "1Ti", "pods": "100000", "ephemeral-storage": "1Ti"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeNode:
    """A fake node as the user describes it; empty values are left out of the object."""

    name: str
    hostname: str = ""
    hostname_label: str = ""
    internal_ip: str = ""
    external_ip: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)
    unschedulable: bool = False
    ready: bool = True


def numbered(count: int) -> list[FakeNode]:
    """Describe fake-1, fake-2 ... with addresses of the documentation networks."""
    if not 0 <= count <= 250:
        raise ClusterError(f"--fake-nodes {count}: give 0 to 250, or a file for more")
    return [
        FakeNode(name=f"fake-{n}", internal_ip=f"198.51.100.{n}", external_ip=f"203.0.113.{n}")
        for n in range(1, count + 1)
    ]


def from_argument(value: str) -> list[FakeNode]:
    """Read --fake-nodes: a number, or a JSON file with a list of objects (see FakeNode)."""
    if value.isdecimal():
        return numbered(int(value))
    try:
        return [FakeNode(**entry) for entry in json.loads(Path(value).read_text())]
    except (OSError, ValueError, TypeError) as error:
        fields = ", ".join(FakeNode.__slots__)
        raise ClusterError(
            f"--fake-nodes {value}: {error}; give a number, or a JSON file with a list of "
            f"objects of {fields}"
        ) from error


def _addresses(node: FakeNode) -> list[dict[str, str]]:
    pairs = [
        ("Hostname", node.hostname or node.name),
        ("InternalIP", node.internal_ip),
        ("ExternalIP", node.external_ip),
    ]
    return [{"type": kind, "address": address} for kind, address in pairs if address]


def build_node(node: FakeNode, *, now: str, tainted: bool = False) -> dict[str, Any]:
    """Build the Node object, as a kubelet would register it."""
    labels = {
        "kubernetes.io/hostname": node.hostname_label or node.name,
        "kubernetes.io/os": "linux",
        LABEL: VALUE,
    }
    taints = list(node.taints)
    if tainted:
        taints.append({"key": LABEL, "value": VALUE, "effect": "NoSchedule"})
    ready = {
        "type": "Ready",
        "status": "True" if node.ready else "False",
        "reason": "FakeNode",
        "message": "an object without a machine",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels | node.labels},
        "spec": {"taints": taints, "unschedulable": node.unschedulable},
        "status": {
            "addresses": _addresses(node),
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "conditions": [ready],
            "nodeInfo": _node_info(),
        },
    }


def _node_info() -> dict[str, str]:
    # Required by the API; the kubelet's version is what tells these apart in `get nodes`.
    names = ["machineID", "systemUUID", "bootID", "kernelVersion", "osImage"]
    names += ["containerRuntimeVersion", "kubeProxyVersion"]
    return dict.fromkeys(names, "") | {
        "kubeletVersion": "fake",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def _is_settled(api: Api, node: FakeNode) -> bool:
    # The API server taints every new Node as not ready; the node controller takes that away.
    status, body = api.request("GET", f"/api/v1/nodes/{node.name}")
    taints = body.get("spec", {}).get("taints") or [] if status == 200 else []
    return status == 200 and (
        not node.ready or all(t["key"] != "node.kubernetes.io/not-ready" for t in taints)
    )


def create(
    api: Api, processes: Processes, nodes: list[FakeNode], *, now: str, tainted: bool
) -> None:
    """Create the Node objects and wait until Pods could be scheduled there."""
    for node in nodes:
        api.create("/api/v1/nodes", build_node(node, now=now, tainted=tainted))
    for node in nodes:
        processes.wait_until(
            "kube-controller-manager",
            partial(_is_settled, api, node),
            seconds=30,
            what=f"fake node {node.name} free of its first taint",
        )
