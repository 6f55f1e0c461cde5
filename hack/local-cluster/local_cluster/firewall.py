"""iptables: find and remove the rules and chains that a node adds.

kube-proxy and kubelet name all their chains KUBE-..., the network plugins CNI-...; rules in
the kernel's own chains that jump to one of these are theirs as well.
"""

import re
import subprocess

from local_cluster.errors import ClusterError

_OURS = r"(?:KUBE|CNI)-\S+"
_FAMILIES = ("iptables", "ip6tables")


def _save(family: str) -> str:
    try:
        result = subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def has_kubernetes() -> bool:
    """Tell whether some kube-proxy has its rules on this machine."""
    return ":KUBE-SERVICES " in _save("iptables")


def removal(saved: str) -> str:
    """Turn iptables-save's text into iptables-restore's that removes what is a node's.

    Pure. One transaction per table: rules that jump in, then the chains emptied, then gone.
    """
    script: list[str] = []
    table = ""
    jumps: list[str] = []
    chains: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, jumps, chains = line, [], []
        elif match := re.match(rf":({_OURS}) ", line):
            chains.append(match[1])
        elif re.match(rf"-A (?!{_OURS} ).* -j {_OURS}(?: |$)", line):
            jumps.append("-D" + line[2:])
        elif line == "COMMIT" and chains:
            flush = [f"-F {chain}" for chain in chains]
            script += [table, *jumps, *flush, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join([*script, ""]) if script else ""


def remove() -> None:
    """Remove a node's rules and chains, IPv4 and IPv6."""
    for family in _FAMILIES:
        script = removal(_save(family))
        if script:
            result = subprocess.run(
                [f"{family}-restore", "--noflush"],
                input=script,
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode != 0:
                raise ClusterError(f"{family}-restore refused the clean-up: {result.stderr}")
