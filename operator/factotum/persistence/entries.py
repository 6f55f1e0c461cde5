"""Factotum Server's entry for a job, byte for byte, and the key it lies under.

Old servers, scripts and chat bots read these, so nothing may be added to them:
no field, no other key order. Pure: no I/O, no clock.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from factotum.core.errors import FactotumError

ORIGINAL_NAME: Final = "factotum"
"""Factotum Server's default ``--consul-name``: old servers share it."""

HIDDEN: Final = "***"
"""Stands in an entry for what must not be shown there."""


class EntryState(StrEnum):
    """The server's words for where a job is."""

    QUEUED = "QUEUED"
    WORKING = "WORKING"
    DONE = "DONE"


class EntryOutcome(StrEnum):
    """The server's words for how a job fares."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class JobKey(NamedTuple):
    """What jobs share an entry by: the duplicate test's scope."""

    namespace: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """The part of an entry that says what was asked for."""

    job_id: str
    job_name: str
    factfile_path: str
    factfile_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What Factotum Server keeps of one job."""

    state: EntryState
    request: JobRequest
    last_run_from: str
    last_outcome: EntryOutcome

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        """Read a stored value as the server does; None when it is no entry."""
        try:
            document = json.loads(value)
            request = document["jobRequest"]
            return cls(
                state=EntryState(document["state"]),
                request=JobRequest(
                    job_id=_text(request.get("jobId") or ""),
                    job_name=_text(request["jobName"]),
                    factfile_path=_text(request["factfilePath"]),
                    factfile_args=tuple(map(_text, request["factfileArgs"])),
                ),
                last_run_from=_text(document["lastRunFrom"]),
                last_outcome=EntryOutcome(document["lastOutcome"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def document(self) -> dict[str, Any]:
        """Return the entry as the server shows it, keys in its order."""
        return {
            "state": self.state.value,
            "jobRequest": {
                "jobId": self.request.job_id,
                "jobName": self.request.job_name,
                "factfilePath": self.request.factfile_path,
                "factfileArgs": list(self.request.factfile_args),
            },
            "lastRunFrom": self.last_run_from,
            "lastOutcome": self.last_outcome.value,
        }

    def to_json(self) -> bytes:
        """Write the entry as the server does: compact, its key order, UTF-8."""
        text = json.dumps(self.document(), separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "replace")


class StoredEntry(NamedTuple):
    """What must be known of a stored value to respect it.

    Read leniently: whatever names a state and an owner counts as that owner's,
    so that an entry of another version is still never taken from its owner.
    """

    state: EntryState
    last_run_from: str
    request: JobRequest

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        """Read a stored value; None when it is no entry."""
        try:
            document = json.loads(value)
            return cls(
                EntryState(document["state"]),
                _text(document["lastRunFrom"]),
                _request(document.get("jobRequest")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def closed(self) -> Entry:
        """Return the entry of a job that ended without anybody recording how."""
        return Entry(
            state=EntryState.DONE,
            request=self.request,
            last_run_from=self.last_run_from,
            last_outcome=EntryOutcome.FAILED,
        )


def _request(document: object) -> JobRequest:
    fields = document if isinstance(document, dict) else {}
    texts = [fields.get(name) for name in ("jobId", "jobName", "factfilePath")]
    job_id, job_name, path = (_legible(text) if isinstance(text, str) else "" for text in texts)
    args = fields.get("factfileArgs")
    return JobRequest(
        job_id=job_id,
        job_name=job_name,
        factfile_path=path,
        factfile_args=tuple(_legible(str(arg)) for arg in args) if isinstance(args, list) else (),
    )


def _legible(text: str) -> str:
    """Return a text without halves of characters (lone surrogates), which nothing can write."""
    return text.encode("utf-8", "replace").decode()


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "not a string"
        raise TypeError(msg)
    value.encode()  # half a character is no text to the server either
    return value


class EntrySettingsError(FactotumError, ValueError):
    """A setting of the mirror that must not be used; the message names its flag and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySettings:
    """Under which keys and which name one operator keeps its entries.

    Attributes:
        prefix: ``--consul-namespace``.
        name: ``--consul-name``: ours alone, it decides which entries we may close.
        bare_namespace: ``--consul-kubernetes-namespace``: its jobs have the
            keys that old servers and scripts use.
    """

    prefix: str = "com.snowplowanalytics/factotum"
    name: str
    bare_namespace: str = "default"

    def __post_init__(self) -> None:
        parts = self.prefix.split("/")
        if not re.fullmatch(r"[A-Za-z0-9._/-]+", self.prefix) or {"", ".", ".."} & set(parts):
            msg = (
                f"--consul-namespace {self.prefix!r}: must be words of letters, digits, dots, "
                "dashes and underscores with single slashes between them"
            )
            raise EntrySettingsError(msg)

    def key_path(self, key: JobKey) -> str:
        """Return the full key in the store."""
        if key.namespace == self.bare_namespace:
            return f"{self.prefix}/{key.job_id}"
        return f"{self.prefix}/{key.namespace}/{key.job_id}"

    def key_of(self, path: str) -> JobKey | None:
        """Read a full key; None when it is not one that we write."""
        head = f"{self.prefix}/"
        if not path.startswith(head):
            return None
        match path[len(head) :].split("/"):
            case [job_id] if job_id:
                return JobKey(self.bare_namespace, job_id)
            case [namespace, job_id] if namespace and job_id and namespace != self.bare_namespace:
                return JobKey(namespace, job_id)
            case _:
                return None


def default_name(cluster_uid: str) -> str:
    """Name an operator after its cluster (the UID of namespace ``kube-system``)."""
    return f"factotum-operator-{cluster_uid[:8]}"


def checked_name(name: str | None, *, cluster_uid: str, force: bool = False) -> str:
    """Return the name to keep entries under.

    Raises:
        EntrySettingsError: the name is one that others write under too.
    """
    chosen = default_name(cluster_uid) if name is None else name
    if not chosen.strip():
        msg = "--consul-name: must not be empty; leave it out for a name of the cluster's own"
        raise EntrySettingsError(msg)
    if chosen == ORIGINAL_NAME and not force:
        msg = (
            f"--consul-name {ORIGINAL_NAME}: every Factotum Server uses this name by default, and "
            "the operator closes unfinished entries of its name that have no job; choose another "
            "name, or add --force-consul-name if no server shares this Consul"
        )
        raise EntrySettingsError(msg)
    return chosen


def factfile_path(spec: Mapping[str, Any], namespace: str, name: str) -> str:
    """Say where a job's factfile lies, in place of the original's path on disk.

    The path of the object that holds it, without a leading slash so that nobody
    takes it for a file: ``factotumjobs/NAMESPACE/NAME`` for an inline factfile,
    ``configmaps/NAMESPACE/NAME/KEY`` for one by reference.
    """
    source = spec.get("factfileFrom") or {}
    for field, value in source.items():
        kind = field.removesuffix("KeyRef").lower()
        if isinstance(value, Mapping):
            return f"{kind}s/{namespace}/{value.get('name', '')}/{value.get('key', '')}"
    return f"factotumjobs/{namespace}/{name}"


def factfile_args(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Translate a job's spec into the command line that asks for the same run.

    Values of ``env`` may be anything a user wants to keep to himself and are
    replaced (the names stay); so is a webhook's URL that comes from a Secret.
    What the original's command line cannot say is left out.
    """
    args: list[str] = []
    if spec.get("start"):
        args += ["--start", str(spec["start"])]
    if env := spec.get("env"):
        hidden = dict.fromkeys(sorted(env), HIDDEN)
        args += ["--env", json.dumps(hidden, separators=(",", ":"), ensure_ascii=False)]
    for option, field in (("--tag", "tags"), ("--constraint", "constraints")):
        for key, value in sorted((spec.get(field) or {}).items()):
            args += [option, f"{key},{value}"]
    webhook = spec.get("webhook") or {}
    if webhook.get("url") or webhook.get("urlFrom"):
        args += ["--webhook", str(webhook.get("url") or HIDDEN)]
        for option, field in (
            ("--max-stdouterr-size", "maxStdouterrSize"),
            ("--heartbeat-interval", "heartbeatIntervalSeconds"),
        ):
            if webhook.get(field) is not None:
                args += [option, str(webhook[field])]
    return tuple(args)
