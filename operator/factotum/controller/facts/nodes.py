"""What matters of a Node: by which names and addresses it is known, and whether it can be used."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
_RELEASE: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})")
_KUBELET_MOUNTS: Final = (1, 35)
"""The first one that mounts images as volumes without being asked to."""
_RUNTIME_MOUNTS: Final = {"containerd": (2, 2), "cri-o": (1, 33)}
"""The first ones that mount a folder of an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What matters of a Node.

    Attributes:
        mounts_images: it mounts a folder of an image as a volume, as far as its versions tell.
    """

    name: str
    uid: str
    label: str
    hostnames: frozenset[str]
    addresses: frozenset[str]
    unready: str
    version: int = 0
    mounts_images: bool = False

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
            mounts_images=_mounts_images(status.get("nodeInfo") or {}),
        )


def _mounts_images(info: Mapping[str, Any]) -> bool:
    kind, _, version = str(info.get("containerRuntimeVersion", "")).partition("://")
    least = _RUNTIME_MOUNTS.get(kind)
    kubelet = _release(str(info.get("kubeletVersion", "")))
    return least is not None and _release(version) >= least and kubelet >= _KUBELET_MOUNTS


def _release(version: str) -> tuple[int, int]:
    found = _RELEASE.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
