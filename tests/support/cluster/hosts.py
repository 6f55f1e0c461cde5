"""Hosts of a test's choice: Nodes without a machine, and a resolver of the operator's own."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.cluster.kube_api import KubeApi, RawObject


@contextlib.contextmanager
def private_files(folder: Path, **files: str) -> Iterator[tuple[str, ...]]:
    """Give the command that runs a program with files of its own in /etc; it takes root."""
    if os.geteuid() != 0:
        raise AssertionError("private files in /etc take a mount namespace: run this test as root")
    mounts = []
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        target = {"hosts": "/etc/hosts", "resolv": "/etc/resolv.conf"}[name]
        mounts.append(f"mount --bind {path} {target}")
    script = " && ".join([*mounts, 'exec "$@"'])
    yield ("unshare", "--mount", "sh", "-c", script, "sh")


@contextlib.contextmanager
def node_named(
    api: KubeApi, name: str, *addresses: tuple[str, str], pods: int = 99, **spec: Any
) -> Iterator[RawObject]:
    """Have one more node that is ready and takes so many Pods."""
    node = api.create(
        "/api/v1/nodes",
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": f"label-of-{name}"}},
            "spec": spec,
        },
    )
    capacity = {"cpu": "9", "memory": "9Gi", "pods": str(pods)}
    status = {
        "addresses": [{"type": kind, "address": address} for kind, address in addresses],
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Test",
                "message": "",
                "lastHeartbeatTime": "2030-01-01T00:00:00Z",
                "lastTransitionTime": "2030-01-01T00:00:00Z",
            }
        ],
    }
    path = f"/api/v1/nodes/{name}"
    api.patch(f"{path}/status", {"status": status})
    try:
        yield node
    finally:
        api.delete(path)
