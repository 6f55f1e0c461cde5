"""What the controller knows of one job at one moment, as values.

``decisions`` decides by an ``Observed`` alone. A fact that is not known is
None there, never a guess, and the decision then asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from factotum.core.wire.reports import Report
from factotum.kube import names
from factotum.kube.resource import FactotumJob, JobUid


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """What matters of one of our Pods."""

    namespace: str
    name: str
    uid: str
    version: int
    job_uid: JobUid
    attempt: int
    launch: int
    factfile_hash: str
    job_id: str
    phase: str
    reason: str
    message: str
    deleting: bool
    node_name: str
    waiting: str
    """Why it does not start, if that is known: a reason and a sentence."""
    terminated: Terminated | None
    started: str = ""
    """When the kubelet took it on: what its deadline counts from."""

    @property
    def ended(self) -> bool:
        """Whether its runner can do nothing any more."""
        return self.terminated is not None or self.phase in ("Succeeded", "Failed")

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self | None:
        """Read a Pod's JSON; None if it is not one of ours."""
        metadata = raw["metadata"]
        annotations = metadata.get("annotations") or {}
        job_uid = (metadata.get("labels") or {}).get(names.LABEL_JOB_UID)
        attempt = annotations.get(names.ANNOTATION_ATTEMPT, "")
        launch = annotations.get(names.ANNOTATION_LAUNCH, "")
        if not job_uid or not attempt.isdecimal() or not launch.isdecimal():
            return None
        if owner_uid(raw) != job_uid:
            return None
        status = raw.get("status") or {}
        container = _runner_status(status)
        ended = (container.get("state") or {}).get("terminated")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            job_uid=JobUid(job_uid),
            attempt=int(attempt),
            launch=int(launch),
            factfile_hash=annotations.get(names.ANNOTATION_FACTFILE_HASH, ""),
            job_id=annotations.get(names.ANNOTATION_JOB_ID, ""),
            phase=status.get("phase", ""),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            deleting="deletionTimestamp" in metadata,
            node_name=(raw.get("spec") or {}).get("nodeName", ""),
            waiting=_waiting(status, container),
            started=status.get("startTime") or "",
            terminated=None
            if ended is None
            else Terminated(
                exit_code=ended.get("exitCode", -1),
                reason=ended.get("reason", ""),
                message=ended.get("message", ""),
            ),
        )


def owner_uid(raw: Mapping[str, Any]) -> str | None:
    """UID of the FactotumJob that controls an object."""
    for owner in raw["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == names.KIND:
            return str(owner["uid"])
    return None


def _runner_status(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == names.RUNNER_CONTAINER:
            return dict(container)
    return {}


_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def _waiting(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") and waiting["reason"] not in _STARTING:
        return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": ")
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A factfile that was read and accepted: what a Pod will be given.

    Attributes:
        text: the factfile as the runner gets it.
        digest: SHA-256 of it, hex: ``status.factfileHash``.
        task_names: rendered, in level order, of the tasks that will run.
    """

    text: str
    digest: str
    job_id: str
    task_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A factfile that cannot be had now, and may be later."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A factfile, or what goes with it, that will never run."""

    reason: str
    message: str
    job_id: str = ""


FactfileFact = Plan | Unreadable | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyNode:
    """No constraint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNode:
    """The one Node the constraint means.

    Attributes:
        label: value of its ``kubernetes.io/hostname`` label if that label
            names it alone, else None: then it is chosen by name.
        unready: why nothing can be started there now; empty if it can.
    """

    name: str
    label: str | None
    unready: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoNode:
    """No Node fits: the job is a no-op, for the original's reason."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralNodes:
    """More than one Node fits."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUnknown:
    """The name could not be looked up; it may be later."""

    message: str


HostFact = AnyNode | OnNode | NoNode | SeveralNodes | HostUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRefusal:
    """How the API server refused to create the Pod."""

    permanent: bool
    reason: str
    message: str


class Ask(StrEnum):
    """A question that a decision needs answered first."""

    FACTFILE = "read the factfile"
    HOST = "resolve the host constraint"
    SLOT = "get a worker slot"
    MIRROR = "take the Consul entry"
    ABSENCE = "confirm that the Pod is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Every fact about one job.

    Attributes:
        absent: UIDs of Pods that a live read, sent after this version of the
            job was read, found gone.
        gone_seconds: how long the claim's Pod has been known to be gone.
        pending_seconds: how long the unclaimed Pod has been known.
        mirrored: the Consul entry was taken, or need not be.
        progress_due: enough time has passed since the last progress patch.
    """

    job: FactotumJob
    pods: tuple[PodView, ...] = ()
    factfile: FactfileFact | None = None
    host: HostFact | None = None
    has_slot: bool = False
    mirrored: bool = False
    absent: frozenset[str] = field(default_factory=frozenset)
    gone_seconds: float = 0.0
    pending_seconds: float = 0.0
    report: Report | None = None
    progress_due: bool = True
    refusal: PodRefusal | None = None
