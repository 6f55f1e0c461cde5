"""The verdict as a container's termination message: the truth in the Pod itself.

Written at every change and read from the container's terminated state, so a
result outlives the runner, a controller that was away, and an out-of-memory
kill. Kubernetes promises little room, so what decides the outcome stands
first; task letters and return codes follow while they fit.

Form, three lines: ``factotum/1 CHECKSUM CLAIM HASH SEQUENCE KIND INTERRUPTED
LETTER=COUNT...``, the letters of the tasks in level order, and
``TASK:CODE`` pairs of the codes that are not 0.
"""

from __future__ import annotations

import zlib

from factotum.core.values import Value
from factotum.core.wire import reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 2000
"""Sure to survive: the kubelet cuts all containers' messages to 12 KiB."""

_MAGIC = "factotum/1"
_HASH_LENGTH = 16
_KINDS = {"progress": "P", "final": "F", "unstarted": "U"}


class Verdict(Value):
    """What a termination message says.

    Attributes:
        claim_id: the runner process that wrote it.
        factfile_hash: first 16 digits of the hash of what it ran.
        sequence: of the newest report it had made.
        kind: ``progress``, ``final``, or ``unstarted`` (it ended before its
            first task and never will start one).
        interrupted: tasks that a shutdown ended.
        counts: number of tasks by letter (``reports.STATE_LETTERS``).
        states: letters in level order; shorter than the run if they did not fit.
        codes: return codes that are not 0, by task, as far as they fit.
    """

    __slots__ = (
        "claim_id",
        "codes",
        "counts",
        "factfile_hash",
        "interrupted",
        "kind",
        "sequence",
        "states",
    )

    def __init__(  # noqa: PLR0913 - its attributes
        self,
        *,
        claim_id: str,
        factfile_hash: str,
        sequence: int,
        kind: str,
        interrupted: int,
        counts: Mapping[str, int],
        states: str,
        codes: Mapping[int, int],
    ) -> None:
        self.claim_id = claim_id
        self.factfile_hash = factfile_hash
        self.sequence = sequence
        self.kind = kind
        self.interrupted = interrupted
        self.counts = counts
        self.states = states
        self.codes = codes

    @property
    def succeeded(self) -> bool:
        """Whether the run truly succeeded."""
        unfinished = any(self.counts.get(letter) for letter in reports.UNFINISHED)
        return self.kind == "final" and not self.interrupted and not unfinished


def unstarted(claim_id: str) -> bytes:
    """Encode the message of a runner that ends before its first task."""
    return _encode(f"{claim_id} - 0 U 0", "", "")


def encode(
    *,
    claim_id: str,
    factfile_hash: str,
    sequence: int,
    final: bool,
    interrupted: int,
    states: str,
    codes: Mapping[int, int],
) -> bytes:
    """Encode a snapshot as a termination message of at most MAX_BYTES.

    Args:
        codes: return codes that are not 0, by task, in the order they should
            be kept when they do not all fit.
    """
    counts = " ".join(
        f"{letter}={number}" for letter in reports.STATE_WORDS if (number := states.count(letter))
    )
    kind = _KINDS["final" if final else "progress"]
    head = f"{claim_id} {factfile_hash[:_HASH_LENGTH]} {sequence} {kind} {interrupted} {counts}"
    # Magic, checksum and three line feeds take the rest.
    room = MAX_BYTES - len(head) - len(_MAGIC) - 16
    states = states[:room]
    room -= len(states)
    pairs: list[str] = []
    for task, code in codes.items():
        pair = f"{task}:{code}"
        room -= len(pair) + 1
        if room < 0:
            break
        pairs.append(pair)
    return _encode(head, states, ",".join(pairs))


def _encode(head: str, states: str, codes: str) -> bytes:
    body = f"{head.rstrip()}\n{states}\n{codes}"
    return f"{_MAGIC} {zlib.crc32(body.encode()):08x} {body}".encode()


def decode(message: str) -> Verdict | None:
    """Read a termination message; None if it is not one of ours, or torn."""
    parts = message.split(" ", 2)
    if len(parts) != 3 or parts[0] != _MAGIC:
        return None
    body = parts[2]
    try:
        if f"{zlib.crc32(body.encode()):08x}" != parts[1]:
            return None
        head, states, codes = body.split("\n")
        claim_id, digest, sequence, kind, interrupted, *counts = head.split(" ")
        return Verdict(
            claim_id=claim_id,
            factfile_hash=digest,
            sequence=int(sequence),
            kind={letter: word for word, letter in _KINDS.items()}[kind],
            interrupted=int(interrupted),
            counts={letter: int(number) for letter, number in (c.split("=") for c in counts)},
            states=states,
            codes={
                int(task): int(code)
                for task, code in (pair.split(":") for pair in codes.split(",") if pair)
            },
        )
    except (ValueError, KeyError):
        return None
