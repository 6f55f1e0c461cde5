"""What boxes write down for each other, and where. Pure.

A claim says which box has a job, from its acceptance to its end, and what another
box must know of it. A loss tells a box that a job was taken from it: it is written
with whatever took the job, and stays until that box has read it.
"""

import hmac
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from factotum.persistence.entries import JobRequest

_MOST: Final = 64 * 1024
"""Bytes of a text that goes into a claim: Consul takes 512 KiB in one request, in base64."""
_NO_PREFIX: Final = "factotum"
_PURPOSE: Final = "factotum claim"
"""Told to the seal, so that nothing else that the secret has sealed passes for a claim."""


class Phase(StrEnum):
    """How far a claimed job is."""

    WAITING = "waiting"
    """Nothing of it runs, and nothing will before the phase has changed: it may be taken over."""
    SUSPENDED = "suspended"
    """The same, and it is to wait until its user says otherwise."""
    LAUNCHED = "launched"
    """It may run."""


class Fate(StrEnum):
    """What became of a job that was taken from a box."""

    TAKEN = "taken"
    """Another box runs it."""
    CLOSED = "closed"
    """Its entry says that it has failed."""


class Keys:
    """Where things are.

    Beside the entries' prefix and not below it, where scripts list entries.

    Args:
        prefix: of the entries, without slashes at its ends.
    """

    def __init__(self, prefix: str) -> None:
        root = f"{prefix or _NO_PREFIX}-boxes"
        self.boxes: Final = f"{root}/alive"
        self.claims: Final = f"{root}/claims"
        self._losses: Final = f"{root}/lost"

    def box(self, box: str) -> str:
        """Return the key that a box holds while it lives."""
        return f"{self.boxes}/{box}"

    def claim(self, job_id: str) -> str:
        """Return the key of a job's claim."""
        return f"{self.claims}/{job_id}"

    def losses(self, box: str) -> str:
        """Return what the keys of a box's losses begin with."""
        return f"{self._losses}/{box}"

    def loss(self, box: str, job: int) -> str:
        """Return the key that tells a box of the loss of a job."""
        return f"{self._losses}/{box}/{job}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which box has a job.

    Attributes:
        box: its id.
        host: its machine, for people.
        name: its ``--consul-name``, which the entry says, too.
        job: the job's key there.
        place: its place in the queue there.
        phase: how far it is.
        kept: a report whose results another run begins with, JSON as it was sent; None: none.
        factfile: the text, if no path leads to it.
        is_whole: whether another box can do as this one would: False if something of the above
            was too large to be written down.
        seal: shows that somebody who knows the boxes' secret has written it; empty: nobody has.
    """

    box: str
    host: str
    name: str
    job: int
    place: int
    phase: Phase
    kept: str | None = None
    factfile: str | None = None
    is_whole: bool = True
    seal: str = ""

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        """Read a stored claim; None: it is none."""
        try:
            found = json.loads(value)
            return cls(
                box=_whole(str(found["box"])),
                host=_whole(str(found["host"])),
                name=_whole(str(found["name"])),
                job=int(found["job"]),
                place=int(found["place"]),
                phase=Phase(found["phase"]),
                kept=_text(found.get("kept")),
                factfile=_text(found.get("factfile")),
                is_whole=bool(found["whole"]),
                seal=str(found.get("seal", "")),
            )
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None

    def sealed(self, secret: str, request: JobRequest) -> Self:
        """Seal it, together with what its entry asks for; without a secret nothing is sealed."""
        return replace(self, seal=self._seal(secret, request) if secret else "")

    def is_sealed(self, secret: str, request: JobRequest) -> bool:
        """Whether it was sealed by who knows the secret; without a secret everything passes."""
        seal, known = self._seal(secret, request), self.seal.encode("utf-8", "replace")
        return not secret or hmac.compare_digest(seal.encode(), known)

    def _seal(self, secret: str, request: JobRequest) -> str:
        asked = [request.job_id, request.job_name, request.factfile_path, *request.factfile_args]
        text = json.dumps([_PURPOSE, asked, self._document()])
        return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()

    def to_json(self) -> bytes:
        """Write it down."""
        document = self._document() | ({"seal": self.seal} if self.seal else {})
        return json.dumps(document, separators=(",", ":")).encode()

    def _document(self) -> dict[str, object]:
        document: dict[str, object] = {
            "box": self.box,
            "host": self.host,
            "name": self.name,
            "job": self.job,
            "place": self.place,
            "phase": self.phase.value,
            "whole": self.is_whole,
        }
        if self.kept is not None:
            document["kept"] = self.kept
        if self.factfile is not None:
            document["factfile"] = self.factfile
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A job that was taken from a box.

    Attributes:
        job_id: whose.
        fate: what became of it.
        host: the machine of the box that took it, for people.
    """

    job_id: str
    fate: Fate
    host: str

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        """Read a stored loss; None: it is none."""
        try:
            found = json.loads(value)
            return cls(
                job_id=str(found["jobId"]),
                fate=Fate(found["fate"]),
                host=_whole(str(found["host"])),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def to_json(self) -> bytes:
        """Write it down."""
        document = {"jobId": self.job_id, "fate": self.fate.value, "host": self.host}
        return json.dumps(document, separators=(",", ":")).encode()

    @property
    def sentence(self) -> str:
        """Say what happened, to whoever looks at the job where it was."""
        if self.fate == Fate.TAKEN:
            return f"the box on {self.host} took it over while this one was thought lost"
        return f"the box on {self.host} closed it as failed while this one was thought lost"


def fits(text: str) -> bool:
    """Whether a report or factfile may go into a claim, as it is written there."""
    return len(text) <= _MOST and len(json.dumps(text)) <= _MOST


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        msg = "not a text"
        raise TypeError(msg)
    return value if value is None else _whole(value)


def _whole(text: str) -> str:
    """Return a text that can be kept and written anywhere: half a character (ValueError) cannot."""
    text.encode()
    return text
