"""What a node leaves on the machine outside its processes, and how it is taken away.

Mounts, network namespaces, the bridge, iptables chains, cgroups, kernel settings, links below
/var. All of it is found by looking at the machine, not by remembering, so that it goes also
after the tool itself was killed at any moment. One node per machine: the owner file says whose.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from local_cluster import firewall, processes
from local_cluster.errors import ClusterError
from local_cluster.folders import NODE_DISK, NODE_OWNER, NODE_RUN

BRIDGE = "factotum0"
NETWORK = "factotum-local"
CGROUP = "factotum-node"

# kubelet, kube-proxy and the bridge plugin set these and never set them back.
_KERNEL_SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)

# Folders that the programs make wherever they are told to work.
_BUILT_IN_FOLDERS = (
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/run/containerd/s",
    "/run/containerd",
)


def owner() -> Path | None:
    """Give the state folder of the cluster that has the machine's node."""
    with contextlib.suppress(FileNotFoundError):
        return Path(NODE_OWNER.read_text())
    return None


def claim_machine(state: Path) -> None:
    """Make the machine's node this cluster's, or say whose it is."""
    try:
        with NODE_OWNER.open("x") as file:
            file.write(str(state))
    except FileExistsError:
        other = Path(NODE_OWNER.read_text())
        if other != state and (other.exists() or processes.marked(other)):
            raise ClusterError(
                f"there can be one node per machine, and cluster {other.name!r} has it; use "
                "--replace, or take it down first: "
                f"XDG_STATE_HOME={other.parents[2]} hack/local-cluster/cluster down "
                f"--name {other.name}"
            ) from None
        remove(other, {})
        NODE_OWNER.write_text(str(state))
    if firewall.has_kubernetes():
        NODE_OWNER.unlink()
        raise ClusterError(
            "another Kubernetes node runs on this machine (iptables has KUBE-SERVICES); "
            "use the control-plane profile, or make CLUSTER=current to use that one"
        )


def kernel_settings() -> dict[str, str]:
    """Read the kernel settings that a node will change."""
    found = {}
    for name in _KERNEL_SETTINGS:
        with contextlib.suppress(OSError):
            found[name] = Path("/proc/sys", name).read_text().strip()
    return found


def cgroup_folders() -> list[Path]:
    """List the node's cgroup in every hierarchy, version 1 and 2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(m[1], CGROUP) for m in mounts if m[2] in ("cgroup", "cgroup2")]


def remove(state: Path, kernel: dict[str, str]) -> None:
    """Take every trace of the node away; the owner file last, so that this can be repeated."""
    processes.kill_until_none(_contained)
    for address in NODE_RUN.rglob("address"):
        with contextlib.suppress(OSError):
            Path(address.read_text().removeprefix("unix://")).unlink()
    _unmount_below(NODE_RUN, NODE_DISK, state)
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)
    firewall.remove()
    _remove_cgroups()
    _remove_links()
    for name, value in kernel.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys", name).write_text(value)
    for folder in (NODE_RUN, NODE_DISK):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise ClusterError(f"{folder} cannot be removed; see: grep {folder} /proc/mounts")
    NODE_OWNER.unlink(missing_ok=True)


def _contained() -> list[int]:
    """Find the processes of all containers: they carry no mark but sit in our cgroup."""
    pids: set[int] = set()
    for folder in cgroup_folders():
        for file in folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(word) for word in file.read_text().split())
    # 0 stands for a process that this namespace cannot see; nothing of ours.
    return sorted(pids - {0, os.getpid()})


def _mount_points(*parents: Path) -> Iterator[str]:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        escaped = line.split()[1]
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), escaped)
        if any(Path(point).is_relative_to(parent) for parent in parents):
            yield point


def _unmount_below(*parents: Path) -> None:
    points = list(_mount_points(*parents))
    if points:
        subprocess.run(["umount", "--lazy", *points], capture_output=True, check=False)
    left = list(_mount_points(*parents))
    if left:
        raise ClusterError(f"cannot unmount {', '.join(left)}")


def _remove_cgroups() -> None:
    for top in cgroup_folders():
        deadline = time.monotonic() + 5
        while top.is_dir():
            # A cgroup stays busy for a moment after its last process was killed.
            for folder in sorted(
                (top, *(f.parent for f in top.rglob("cgroup.procs"))), reverse=True
            ):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"cgroup {top} cannot be removed")
            time.sleep(0.01)


def _remove_links() -> None:
    # Places that the programs have built in.
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(NODE_DISK):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob(f"{NETWORK}-*"):
        result.unlink(missing_ok=True)
    plugins = Path("/var/lib/kubelet/device-plugins")
    for file in (plugins / "kubelet.sock", plugins / "kubelet_internal_checkpoint"):
        file.unlink(missing_ok=True)
    for folder in _BUILT_IN_FOLDERS:
        with contextlib.suppress(OSError):  # in use by others, or never made
            Path(folder).rmdir()
