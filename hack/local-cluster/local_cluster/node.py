"""A real node on this machine: containerd, kubelet, kube-proxy and the cluster's DNS.

One per machine (traces.py says why). The settings that look odd are for machines such as CI
runners: containers without CAP_SYS_RESOURCE, cgroups version 1, names that do not resolve.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cluster import dns, folders, pause_image, records, traces
from local_cluster.api import Api
from local_cluster.control_plane import NODE_NAME
from local_cluster.errors import ClusterError
from local_cluster.folders import NODE_DISK, NODE_REGISTRIES, NODE_RUN
from local_cluster.processes import Processes
from local_cluster.records import Record

PODS = "10.213.0.0/20"
_SOCKET = NODE_RUN / "containerd.sock"


def build_network() -> dict[str, Any]:
    """Build the configuration of the Pod network: a bridge on this machine."""
    bridge = {
        "type": "bridge",
        "bridge": traces.BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(NODE_RUN / "cni"),
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": traces.NETWORK, "plugins": [bridge, portmap]}


def containerd_configuration() -> str:
    """Give containerd's configuration: everything below folders of the node's own."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{NODE_DISK}/containerd"
state = "{NODE_RUN}/containerd"
[grpc]
address = "{_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{NODE_DISK}/opt"
[{cri}]
sandbox_image = "{pause_image.NAME}"
# Without CAP_SYS_RESOURCE a container may not get a lower score than its parent.
restrict_oom_score_adj = true
# Else they would lie in /run/netns, among those of others.
netns_mounts_under_state_dir = true
# Read at each pull: a folder for each registry with its hosts.toml.
[{cri}.registry]
config_path = "{NODE_REGISTRIES}"
[{cri}.containerd]
snapshotter = "overlayfs"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
Root = "{NODE_RUN}/runc"
[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{NODE_DISK}/cni"
"""


def build_kubelet_configuration(state: Path, record: Record) -> dict[str, Any]:
    """Build the kubelet's configuration."""
    pki = records.certificates(state)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "port": record.kubelet_port,
        "healthzPort": 0,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{traces.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "clusterDNS": [dns.SERVICE_ADDRESS],
        "clusterDomain": dns.DOMAIN,
        # A developer's disk is often nearly full; that is no reason to evict Pods.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        # What was loaded stays usable for everybody, also if a registry has the same image.
        "imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages",
        "preloadedImagesVerificationAllowlist": ["localhost/*", "docker.io/library/*"],
        "maxPods": 1000,
        "podLogsDir": str(NODE_DISK / "pods"),
        "volumePluginDir": str(NODE_DISK / "volume-plugins"),
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 500,
    }


def start_runtime(state: Path, processes: Processes, marker: Mapping[str, str]) -> None:
    """Start containerd; it needs nothing of the control plane."""
    pause = pause_image.ensure(marker)
    for folder in (NODE_RUN, NODE_DISK / "cni", NODE_REGISTRIES):
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    (NODE_DISK / "cni" / "10-bridge.conflist").write_text(json.dumps(build_network()))
    configuration = state / "containerd.toml"
    configuration.write_text(containerd_configuration())
    programs = folders.programs()
    processes.start(
        "containerd",
        [programs / "containerd", "--config", configuration],
        # Where it looks for its shim, before one of the machine's own.
        PATH=f"{programs}:{os.environ.get('PATH', os.defpath)}",
    )
    # The socket is there before the services behind it.
    processes.wait_until(
        "containerd", lambda: _ctr("version").returncode == 0, seconds=30, what="answers"
    )
    load_image(pause)


def _ctr(*words: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(folders.programs() / "ctr"),
        "--address",
        str(_SOCKET),
        "--namespace",
        "k8s.io",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def load_image(archive: Path) -> None:
    """Import an image archive (OCI or docker) for the kubelet to use."""
    result = _ctr("images", "import", str(archive))
    if result.returncode != 0:
        raise ClusterError(
            f"containerd cannot import {archive}: {result.stderr.strip()}; it takes archives as "
            "'buildah push IMAGE oci-archive:FILE:NAME' or 'docker save' write them"
        )


def start(
    programs: dict[str, Path], state: Path, record: Record, processes: Processes, api: Api
) -> None:
    """Start kubelet, kube-proxy and DNS, and wait until Pods could run and resolve names."""
    pki = records.certificates(state)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for folder in traces.cgroup_folders():
        folder.mkdir(exist_ok=True)
    configuration = state / "kubelet.json"
    configuration.write_text(json.dumps(build_kubelet_configuration(state, record)))
    kubelet = [
        str(programs["kubelet"]),
        f"--kubeconfig={pki / 'node.kubeconfig'}",
        f"--config={configuration}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={record.address}",
        f"--root-dir={NODE_DISK / 'kubelet'}",
        f"--cert-dir={pki}",
    ]
    proxy = [
        str(programs["kube-proxy"]),
        f"--kubeconfig={pki / 'kube-proxy.kubeconfig'}",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=iptables",
        # Limits of the whole machine, which is not ours, and containers may not set them.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--healthz-bind-address=",
        f"--metrics-bind-address=127.0.0.1:{record.proxy_port}",
    ]
    processes.start("kubelet", kubelet)
    processes.start("kube-proxy", proxy)
    dns.start(programs["coredns"], state, record, processes, api)
    processes.wait_until("kubelet", lambda: _is_ready(api), seconds=90, what="node ready")


def _is_ready(api: Api) -> bool:
    status, node = api.request("GET", f"/api/v1/nodes/{NODE_NAME}")
    if status != 200:
        return False
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    taints = [t["key"] for t in node["spec"].get("taints") or []]
    return conditions.get("Ready") == "True" and "node.kubernetes.io/not-ready" not in taints
