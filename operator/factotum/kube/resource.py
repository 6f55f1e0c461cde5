"""The typed view of a FactotumJob: what was asked for, and what is known of it.

Built from the resource's JSON in one place, so that nobody else spells its
fields. The raw spec and status stay reachable for what is passed on as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NewType, Self

from factotum.core.words.states import JobState
from factotum.kube import names

JobUid = NewType("JobUid", str)
"""UID of a FactotumJob: the key of everything the controller remembers."""


class Desired:
    """What ``desiredState`` may ask for."""

    RUN = "Run"
    SUSPEND = "Suspend"
    CANCEL = "Cancel"


class Duplicates:
    """What ``duplicatePolicy`` may say of a job while another one of its job id runs."""

    QUEUE = "Queue"
    REJECT = "Reject"
    ALLOW = "Allow"


def parse_time(text: object) -> datetime | None:
    """Read one of Kubernetes' timestamps; None if it is none that can be reckoned with.

    The API server takes more than there is: a 60th second, the year 0.
    """
    if not text or not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Write a timestamp as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_SHAPES: Final[Mapping[str, type]] = {
    "conditions": list,
    "state": str,
    "outcome": str,
    "reason": str,
    "message": str,
    "jobId": str,
    "jobReference": str,
    "runReference": str,
    "factfileHash": str,
    "attempt": int,
    "launch": int,
    "launchesGivenUp": int,
    "nextLaunchTime": str,
    "claim": dict,
    "sequence": int,
    "progress": str,
    "startTime": str,
    "completionTime": str,
    "tasks": list,
    "taskStates": str,
    "order": dict,
    "attempts": list,
    "retries": int,
    "resumeSeen": str,
}
_ANNOTATION_LIMIT: Final = 1024
"""What is read of an annotation's value; the status has room for no more."""
_TOTAL_DIGITS: Final = 6
"""A job has fewer tasks than a number of so many digits says: they must fit a ConfigMap."""


def _annotation(annotations: object, name: str) -> str:
    value = annotations.get(name) if isinstance(annotations, Mapping) else None
    return value[:_ANNOTATION_LIMIT] if isinstance(value, str) else ""


def _legible(status: object) -> Mapping[str, Any]:
    """Return a status without the fields that are not of the shape we give them.

    Only the controller should write it, but that is a matter of rights: what
    anybody else wrote, or an older schema let in, must not stop the reading.
    """
    if not isinstance(status, Mapping):
        return {}
    odd = [
        name
        for name, shape in _SHAPES.items()
        if (value := status.get(name)) is not None and not _fits(value, shape)
    ]
    return {name: value for name, value in status.items() if name not in odd} if odd else status


def _fits(value: object, shape: type) -> bool:
    if shape is dict:
        return isinstance(value, Mapping) and {str}.issuperset(map(type, value.values()))
    if shape is list:
        return isinstance(value, list) and {dict}.issuperset(map(type, value))
    return type(value) is shape and (shape is not int or value >= 0)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which runner process owns the attempt."""

    id: str
    pod_name: str
    pod_uid: str
    node_name: str

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any] | None) -> Self | None:
        """Read ``status.claim``."""
        if not raw or not raw.get("id"):
            return None
        return cls(
            id=raw["id"],
            pod_name=raw.get("podName", ""),
            pod_uid=raw.get("podUID", ""),
            node_name=raw.get("nodeName", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked of a running attempt, and since when it is being obeyed."""

    desired: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FactotumJob:
    """One job at one resource version.

    Attributes:
        resume: value of the annotation that asks for another attempt; empty: none.
        submitted_name: what the caller of a job server named it; empty: nobody did.
    """

    namespace: str
    name: str
    uid: JobUid
    resource_version: str
    generation: int
    created: str
    deleting: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    resume: str = ""
    submitted_name: str = ""

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Self:
        """Read a FactotumJob's JSON."""
        metadata = raw["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=JobUid(metadata["uid"]),
            resource_version=metadata["resourceVersion"],
            generation=metadata.get("generation", 0),
            created=metadata["creationTimestamp"],
            deleting="deletionTimestamp" in metadata,
            spec=raw.get("spec") or {},
            status=_legible(raw.get("status")),
            resume=_annotation(metadata.get("annotations"), names.ANNOTATION_RESUME),
            submitted_name=_annotation(
                metadata.get("annotations"), names.ANNOTATION_SUBMITTED_NAME
            ),
        )

    def with_status(self, status: Mapping[str, Any]) -> Self:
        """Return the job with its whole status, of which maybe only a part is known."""
        return replace(self, status=_legible(status))

    @property
    def version(self) -> int:
        """The resource version as the number it is, for comparing."""
        return int(self.resource_version)

    @property
    def state(self) -> str:
        """QUEUED, WORKING or DONE; empty before the first word about it."""
        return str(self.status.get("state", ""))

    @property
    def is_done(self) -> bool:
        """Whether the verdict stands."""
        return self.state == JobState.DONE

    @property
    def is_claimed(self) -> bool:
        """Whether a runner has claimed the attempt and no verdict stands yet."""
        return not self.is_done and bool((self.status.get("claim") or {}).get("id"))

    @property
    def reason(self) -> str:
        """Why the job is in its state."""
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        """The sentence that goes with the reason."""
        return str(self.status.get("message", ""))

    @property
    def job_id(self) -> str:
        """Factotum Server's id of the job, once it is known."""
        return str(self.status.get("jobId", ""))

    @property
    def is_observed(self) -> bool:
        """Whether the status speaks of the spec as it is now."""
        return self.status.get("observedGeneration") == self.generation

    @property
    def total_tasks(self) -> int:
        """How many tasks the run has; 0 before it is claimed."""
        total = str(self.status.get("progress") or "").rpartition("/")[2]
        return int(total) if total.isdecimal() and len(total) <= _TOTAL_DIGITS else 0

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""
        return int(self.status.get("attempt") or 1)

    @property
    def launch(self) -> int:
        """Which Pod of the attempt this is, from 1."""
        return int(self.status.get("launch") or 1)

    @property
    def launches_given_up(self) -> int:
        """How many of the attempt's earlier launches were given up because they did not start."""
        return min(int(self.status.get("launchesGivenUp") or 0), self.launch - 1)

    @property
    def sequence(self) -> int:
        """Number of the newest report in the status."""
        return int(self.status.get("sequence") or 0)

    @property
    def claim(self) -> Claim | None:
        """The runner process that owns the attempt, once there is one."""
        return Claim.from_raw(self.status.get("claim"))

    @property
    def duplicate_policy(self) -> str:
        """What to do while another job of its job id runs: one of ``Duplicates``."""
        return str(self.spec.get("duplicatePolicy") or Duplicates.QUEUE)

    @property
    def order(self) -> Order | None:
        """The order that the attempt's runner is to obey, once it is written down."""
        raw = self.status.get("order") or {}
        since = parse_time(raw.get("time"))
        return None if since is None else Order(desired=raw.get("desiredState", ""), since=since)

    @property
    def desired(self) -> str:
        """What is wanted of the job: one of ``Desired``."""
        return str(self.spec.get("desiredState") or Desired.RUN)

    @property
    def retries(self) -> int:
        """How often it was started again by itself."""
        return int(self.status.get("retries") or 0)

    @property
    def env(self) -> dict[str, str]:
        """The mustache variables."""
        return dict(self.spec.get("env") or {})

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags."""
        return dict(self.spec.get("tags") or {})

    @property
    def host_constraint(self) -> str | None:
        """The value of ``constraints.host``, if any."""
        value = (self.spec.get("constraints") or {}).get("host")
        return None if value is None else str(value)
