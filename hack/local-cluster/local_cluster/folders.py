"""Where the tool keeps things: built programs in the cache, clusters in the state folder.

Only names are decided here; nothing is created.
"""

import os
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent
MODULES = TOOL / "modules"

# One node profile per machine: it owns host-wide things (bridge, iptables, cgroup). These paths
# are short because those of Unix sockets end at 107 characters; what is big lies on the disk.
NODE_RUN = Path("/run/factotum-node")
NODE_DISK = Path("/var/lib/factotum-node")
NODE_REGISTRIES = NODE_DISK / "registries"
NODE_OWNER = Path("/run/factotum-node.owner")


def _xdg(variable: str, default: str) -> Path:
    # The XDG specification says to ignore relative values.
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


def cache() -> Path:
    """Give the folder that survives clusters: programs, the Go toolchain, the pause image."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "factotum-operator"


def programs() -> Path:
    """Give the folder of the built programs."""
    return cache() / "bin"


def clusters() -> Path:
    """Give the folder that holds one state folder per cluster."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "factotum-operator" / "clusters"
