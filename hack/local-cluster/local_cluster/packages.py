"""The Debian packages that the node profile takes from the distribution."""

import os
import shutil
import subprocess
from pathlib import Path

from local_cluster.errors import ClusterError

# What is looked for (a command, or a file by its path) -> the package that brings it.
_NEEDED = {
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables-restore": "iptables",
    "conntrack": "conntrack",
    "socat": "socat",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "openssl": "openssl",
}


def missing() -> list[str]:
    """List the packages of which something is not there."""
    return list(
        dict.fromkeys(
            package
            for thing, package in _NEEDED.items()
            if not (Path(thing).exists() if thing.startswith("/") else shutil.which(thing))
        )
    )


def check() -> None:
    """Refuse to go on where the node profile cannot work, saying what to do."""
    if os.geteuid() != 0:
        raise ClusterError(
            "--profile node needs root: it mounts, makes network namespaces and iptables rules "
            "(the control-plane profile does not)"
        )
    names = missing()
    if names:
        raise ClusterError(
            "the node profile needs packages that are not installed; run "
            "'hack/local-cluster/cluster deps', or: "
            f"apt-get install -y --no-install-recommends {' '.join(names)}"
        )


def install() -> None:
    """Install what is missing with apt-get, and leave no service of it running."""
    names = missing()
    if not names:
        print("all packages are there")
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"no apt-get here; install these yourself: {' '.join(names)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install_words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]
    for words in (["apt-get", "update", "-q"], install_words):
        if subprocess.run([*sudo, *words], env=environment, check=False).returncode != 0:
            raise ClusterError(f"'{' '.join(words)}' failed; its words stand above")
