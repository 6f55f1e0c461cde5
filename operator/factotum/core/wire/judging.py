"""Who may have an attempt, and whose reports count: one policy, wherever a job is kept. Pure.

``Standing`` is what one version of a job says; who asks is told apart by a word
that only this very claimant has, such as its Pod's UID.
"""

import hmac
from dataclasses import dataclass
from typing import Any

from factotum.core.wire.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Yes, with what the runner needs."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No, and never: 409 (another runner has it) or 410 (it is over)."""

    status: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Not known now: ask again."""

    message: str


Answer = Granted | Denied | Later


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a job stands.

    Attributes:
        attempt: its present one.
        launch: its present one within the attempt.
        sequence: of the newest report taken.
        is_done: whether it has its verdict.
        is_going: whether it is being deleted.
        claim_id: who claimed the attempt; None: nobody.
        claimant: as whom; empty likewise.
        claimant_name: what people call that one.
    """

    attempt: int
    launch: int
    sequence: int
    is_done: bool
    is_going: bool = False
    claim_id: str | None = None
    claimant: str = ""
    claimant_name: str = ""


def judge_claim(
    standing: Standing, wanted: tuple[int, int], claim_id: str, claimant: str, what: str
) -> Denied | Granted | None:
    """Judge a claim.

    Args:
        standing: of the job, by one version of it.
        wanted: the attempt and launch that are asked for.
        claim_id: of the asking process.
        claimant: who asks; that it may ask for this job at all was seen before.
        what: claimants are called, such as ``Pod``.

    Returns:
        None if the attempt is free, ``Granted`` (its body empty) if this very
        process has it already, else the refusal.
    """
    if standing.is_going:
        return Denied(status=410, message="the job is being deleted")
    if standing.is_done:
        return Denied(status=410, message="the job is done")
    if standing.claim_id is not None and is_same(standing.claim_id, claim_id):
        if standing.claimant == claimant:
            return Granted(body={})
        return Denied(status=409, message=f"another {what} has it")
    if (standing.attempt, standing.launch) != wanted:
        return Denied(
            status=410,
            message=f"this is attempt {wanted[0]}, launch {wanted[1]};"
            f" the job is at attempt {standing.attempt}, launch {standing.launch}",
        )
    if standing.claim_id is not None:
        name = standing.claimant_name
        return Denied(status=409, message=f"claimed by a runner in {what} {name}")
    return None


def judge_report(standing: Standing, attempt: int, report: Report) -> Denied | None:
    """Judge a report of somebody who may report on this job at all."""
    is_its_own = standing.claim_id is not None and is_same(standing.claim_id, report.claim_id)
    if standing.attempt != attempt or not is_its_own:
        return Denied(status=410, message="the attempt is not this runner's")
    if standing.is_done and not (report.final and report.sequence <= standing.sequence):
        return Denied(status=410, message="the job is done")
    return None


def is_same(known: str, told: str) -> bool:
    """Compare two claim ids in constant time; as bytes, since either may hold any character."""
    return hmac.compare_digest(known.encode("utf-8", "replace"), told.encode("utf-8", "replace"))
