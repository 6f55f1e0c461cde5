"""The Lease as it is stored: who holds it, and where the holder is asked. Pure.

Its times are written for people. Whoever decides by them would trust another
machine's clock; here only their change counts, by one's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from factotum.kube import names
from factotum.kube.api import RawObject

_RELEASED_SECONDS: Final = 1
"""The duration that stands in a Lease which its holder gave up, as other controllers do it."""
_LONGEST_SECONDS: Final = 60.0
"""No Lease counts for longer, whatever stands in it."""
_SEPARATOR: Final = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """One replica as a holder.

    Attributes:
        identity: its name, which it keeps over restarts and shares with nobody who lives.
        process: what tells this process from those before it.
        address: HOST:PORT at which other replicas reach its claims port.
    """

    identity: str
    process: str
    address: str

    @property
    def holder(self) -> str:
        """How it stands in the Lease."""
        return f"{self.identity}{_SEPARATOR}{self.process}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What matters of a stored Lease; as long as it stays equal nobody has renewed it."""

    uid: str = ""
    holder: str = ""
    renewed: str = ""
    seconds: float = 0.0
    transitions: int = 0
    address: str = ""

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self:
        """Read a stored Lease, which anybody with the right to may have edited."""
        spec = raw.get("spec") or {}
        annotations = raw["metadata"].get("annotations") or {}
        return cls(
            uid=str(raw["metadata"].get("uid") or ""),
            holder=str(spec.get("holderIdentity") or ""),
            renewed=str(spec.get("renewTime") or ""),
            seconds=min(float(spec.get("leaseDurationSeconds") or 0), _LONGEST_SECONDS),
            transitions=int(spec.get("leaseTransitions") or 0),
            address=str(annotations.get(names.ANNOTATION_CLAIMS_ADDRESS) or ""),
        )

    @property
    def is_released(self) -> bool:
        """Whether its holder gave it up; one whose holder was taken out by hand is not."""
        return not self.holder and self.seconds == _RELEASED_SECONDS

    def is_of(self, identity: str) -> bool:
        """Whether a replica of that name holds it: this process, or one before it."""
        return self.holder.rpartition(_SEPARATOR)[0] == identity


def unheld(name: str, now: datetime, seconds: int) -> RawObject:
    """Return a Lease that nobody holds, and that nobody has given up."""
    spec = {"leaseDurationSeconds": seconds, "renewTime": _moment(now)}
    return _changed({}, name, spec, "")


def held(raw: RawObject, name: str, me: Me, now: datetime, seconds: int) -> RawObject:
    """Return the Lease as one that is ours from now on; what others wrote beside stays.

    Args:
        raw: as it is stored; empty if it is not.
        name: of the Lease.
        me: who we are.
        now: for people.
        seconds: how long it is not to be taken by others.
    """
    spec: dict[str, Any] = {
        "holderIdentity": me.holder,
        "leaseDurationSeconds": seconds,
        "renewTime": _moment(now),
    }
    before = Lease.from_raw(raw) if raw else Lease()
    if before.holder != me.holder:
        spec |= {"acquireTime": _moment(now), "leaseTransitions": before.transitions + 1}
    return _changed(raw, name, spec, me.address)


def released(raw: RawObject, name: str, now: datetime) -> RawObject:
    """Return the Lease as one that anybody may take at once."""
    spec = {
        "holderIdentity": "",
        "leaseDurationSeconds": _RELEASED_SECONDS,
        "renewTime": _moment(now),
    }
    return _changed(raw, name, spec, "")


def _moment(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"


def _changed(raw: RawObject, name: str, spec: RawObject, address: str) -> RawObject:
    metadata = dict(raw.get("metadata") or {"name": name})
    annotations = dict(metadata.get("annotations") or {})
    annotations[names.ANNOTATION_CLAIMS_ADDRESS] = address
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        **raw,
        "metadata": metadata | {"annotations": annotations},
        "spec": (raw.get("spec") or {}) | spec,
    }
