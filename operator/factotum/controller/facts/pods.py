"""What matters of a Pod, and whose it is.

A label says which job a Pod claims to belong to; anybody who may create Pods
can write one. So a Pod counts as a job's own only if everything fits that we
give to one: namespace, the owner's group, kind, name and UID, and its own
name, which follows from job, attempt and launch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeGuard

from factotum.kube import names
from factotum.kube.resource import FactotumJob, JobUid

_MAX_NUMBER_LENGTH: Final = 9
_HASH_LENGTH: Final = 64
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*": (ErrImagePull: )?')
"""Before the cause, which the kubelet says with these words and without them in turns."""
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
_OURS: Final = (names.RUNNER_CONTAINER, names.INJECTING_CONTAINER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """What matters of one Pod.

    Attributes:
        job_uid: of the job that it says it belongs to; empty once its label is off.
        owner: name of the FactotumJob that controls it, by its owner
            reference; empty if that is no FactotumJob of ours, or another one.
        factfile_hash: SHA-256, hex, of what was accepted; empty if it is none.
        job_id: SHA-256, hex; empty if it is none.
        waiting: why it does not start, if that is known: a reason and a sentence.
        preparing: the init container that runs now, if it is not ours; empty: none.
        started: when the kubelet took it on: what its deadline counts from.
        disruption: why Kubernetes itself ends it, in its word: a reason and a sentence.
    """

    namespace: str
    name: str
    uid: str
    version: int
    job_uid: JobUid
    owner: str
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
    terminated: Terminated | None
    preparing: str = ""
    started: str = ""
    disruption: tuple[str, str] = ("", "")

    @property
    def ended(self) -> bool:
        """Whether its runner can do nothing any more."""
        return self.terminated is not None or self.phase in ("Succeeded", "Failed")

    def belongs_to(self, job: FactotumJob) -> bool:
        """Whether this is a Pod that we made for a job: everything fits."""
        return (
            self.job_uid == job.uid
            and self.namespace == job.namespace
            and self.owner == job.name
            and self.name == names.pod_name(job.name, job.uid, self.attempt, self.launch)
        )

    @property
    def is_named_as_ours(self) -> bool:
        """Whether its name is one that we give, as far as that can be told without its job."""
        return self.name.endswith(names.pod_name("", self.job_uid, self.attempt, self.launch))

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self:
        """Read a Pod's JSON, whoever made it."""
        metadata = raw["metadata"]
        annotations = metadata.get("annotations") or {}
        job_uid = str((metadata.get("labels") or {}).get(names.LABEL_JOB_UID, ""))
        status = raw.get("status") or {}
        container = _container(status.get("containerStatuses"), names.RUNNER_CONTAINER)
        before = status.get("initContainerStatuses") or ()
        sidecars = _sidecars(raw)
        ended = (container.get("state") or {}).get("terminated")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            job_uid=JobUid(job_uid),
            owner=_owner(metadata, job_uid),
            attempt=_number(annotations.get(names.ANNOTATION_ATTEMPT)),
            launch=_number(annotations.get(names.ANNOTATION_LAUNCH)),
            factfile_hash=_hash(annotations.get(names.ANNOTATION_FACTFILE_HASH)),
            job_id=_hash(annotations.get(names.ANNOTATION_JOB_ID)),
            phase=status.get("phase", ""),
            reason=status.get("reason", ""),
            message=status.get("message") or _failure(before, sidecars),
            deleting="deletionTimestamp" in metadata,
            node_name=(raw.get("spec") or {}).get("nodeName", ""),
            waiting=next(filter(None, map(_waiting, (*before, container))), _unscheduled(status)),
            preparing=_running(before, sidecars),
            started=status.get("startTime") or "",
            disruption=_disruption(status),
            terminated=None
            if ended is None
            else Terminated(
                exit_code=ended.get("exitCode", -1),
                reason=ended.get("reason", ""),
                message=ended.get("message", ""),
            ),
        )


def _owner(metadata: Mapping[str, Any], job_uid: str) -> str:
    """Return the name of the FactotumJob of that UID that controls an object, else nothing."""
    for owner in metadata.get("ownerReferences") or ():
        group = str(owner.get("apiVersion", "")).partition("/")[0]
        if owner.get("controller") and (group, owner.get("kind")) == (names.GROUP, names.KIND):
            return str(owner.get("name", "")) if owner.get("uid") == job_uid else ""
    return ""


def _number(text: object) -> int:
    """Return a count from an annotation; 0, which no attempt has, if it is none."""
    fits = isinstance(text, str) and text.isascii() and text.isdecimal()
    return int(str(text)) if fits and len(str(text)) <= _MAX_NUMBER_LENGTH else 0


def _hash(text: object) -> str:
    """Return a hash from an annotation. It becomes part of a key: nothing else may pass."""
    return text if is_hash(text) else ""


def is_hash(text: object) -> TypeGuard[str]:
    """Whether a text is a SHA-256 in hexadecimal digits."""
    return isinstance(text, str) and len(text) == _HASH_LENGTH and not set(text) - _HEXADECIMAL


def _container(statuses: Sequence[Mapping[str, Any]] | None, name: str) -> Mapping[str, Any]:
    for container in statuses or ():
        if container.get("name") == name:
            return dict(container)
    return {}


def _sidecars(raw: Mapping[str, Any]) -> frozenset[str]:
    """Name the init containers that are to run beside the runner, and end when it has ended."""
    given = (raw.get("spec") or {}).get("initContainers") or ()
    return frozenset(c.get("name", "") for c in given if c.get("restartPolicy") == "Always")


def _failure(before: Sequence[Mapping[str, Any]], sidecars: frozenset[str]) -> str:
    """Return which container failed that had to end well before the runner starts, if one did."""
    for container in before:
        ended = (container.get("state") or {}).get("terminated") or {}
        name = str(container.get("name", ""))
        if not ended.get("exitCode") or name in sidecars:
            continue
        short = f"{ended.get('reason', '')}, exit code {ended['exitCode']}".removeprefix(", ")
        if name != names.INJECTING_CONTAINER:
            # What it said is for who may read the Pod's log.
            return f"init container {name} failed: {short}"
        cause = str(ended.get("message") or short).strip()
        return f"the runner could not be brought into its image: {cause}"
    return ""


def _running(before: Sequence[Mapping[str, Any]], sidecars: frozenset[str]) -> str:
    """Name the init container that is at work for the job."""
    for container in before:
        name = str(container.get("name", ""))
        if "running" in (container.get("state") or {}) and name not in (*_OURS, *sidecars):
            return name
    return ""


def _waiting(container: Mapping[str, Any]) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    if not waiting.get("reason") or waiting["reason"] in _STARTING:
        return ""
    cause = _BACK_OFF.sub("", str(waiting.get("message", "")))
    if container.get("name") not in _OURS:
        cause = f"container {container.get('name')}: {cause}".rstrip(": ")
    return f"{waiting['reason']}: {cause}".rstrip(": ")


def _unscheduled(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": ")
    return ""


def _disruption(status: Mapping[str, Any]) -> tuple[str, str]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason", "")), str(condition.get("message", ""))
    return "", ""
