"""What matters of a Node: by which names and addresses it is known, and whether it can be used."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

HOSTNAME_LABEL: Final = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What matters of a Node."""

    name: str
    uid: str
    label: str
    hostnames: frozenset[str]
    addresses: frozenset[str]
    unready: str
    version: int = 0

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self:
        """Read a Node's JSON."""
        status = raw.get("status") or {}
        hostnames, addresses = set(), set()
        for entry in status.get("addresses") or ():
            if entry["type"] == "Hostname":
                hostnames.add(entry["address"])
            elif entry["type"] in ("InternalIP", "ExternalIP") and _is_ipv4(entry["address"]):
                addresses.add(entry["address"])
        ready = next(
            (c for c in status.get("conditions") or () if c["type"] == "Ready"), {"status": ""}
        )
        unready = "" if ready["status"] == "True" else "it is not ready"
        if (raw.get("spec") or {}).get("unschedulable"):
            unready = "it is cordoned"
        return cls(
            name=raw["metadata"]["name"],
            uid=raw["metadata"]["uid"],
            label=(raw["metadata"].get("labels") or {}).get(HOSTNAME_LABEL, ""),
            hostnames=frozenset(hostnames),
            addresses=frozenset(addresses),
            unready=unready,
            version=int(raw["metadata"].get("resourceVersion") or 0),
        )


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
