"""What is remembered of a cluster between runs of the tool: one JSON file in its folder."""

import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from local_cluster import folders
from local_cluster.errors import ClusterError


class Profile(StrEnum):
    """How much of a cluster there is."""

    CONTROL_PLANE = "control-plane"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A cluster as it was started. `complete` only once everything was up."""

    name: str
    profile: Profile
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    kubelet_port: int
    proxy_port: int
    dns_port: int
    address: str
    complete: bool = False
    pids: dict[str, int] = field(default_factory=dict)
    # Kernel settings as they were before a node changed them.
    kernel: dict[str, str] = field(default_factory=dict)


def check_name(name: str) -> str:
    """Refuse names that are no single short path element."""
    if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name) is None:
        raise ClusterError(
            f"{name!r} is no name for a cluster: use up to 40 of a-z, 0-9 and '-', "
            "starting and ending with a letter or digit"
        )
    return name


def state_folder(name: str) -> Path:
    """Give the folder of a cluster."""
    return folders.clusters() / check_name(name)


def kubeconfig(state: Path) -> Path:
    """Give the administrator's kubeconfig of a cluster."""
    return state / "kubeconfig"


def certificates(state: Path) -> Path:
    """Give the folder of a cluster's keys and certificates."""
    return state / "pki"


def audit_log(state: Path) -> Path:
    """Give the audit log: every request to the API server, one JSON object per line."""
    return state / "log" / "audit.log"


def write(state: Path, record: Record) -> None:
    """Remember a cluster; a reader sees the old record or the new, never half of one."""
    fresh = state / "cluster.json.new"
    fresh.write_text(json.dumps(asdict(record), indent=2) + "\n")
    fresh.replace(state / "cluster.json")


def read(state: Path) -> Record | None:
    """Read a cluster's record; None if it was never written."""
    try:
        raw: dict[str, Any] = json.loads((state / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    return Record(**raw | {"profile": Profile(raw["profile"])})


def names() -> list[str]:
    """Give the names of all clusters that have a state folder."""
    folder = folders.clusters()
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
