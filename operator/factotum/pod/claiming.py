"""The claim: the first thing a runner does, before it may run anything."""

from __future__ import annotations

import os
import time

from factotum.core.errors import FactotumError
from factotum.core.wire import addresses
from factotum.core.wire.orders import WorkOrder
from factotum.pod.controller_link import ControllerLink, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from factotum.pod.surroundings import Surroundings

GIVE_UP_SECONDS = 300.0
EXIT_UNSTARTED = 75
"""Exit code of a runner that ran nothing: another Pod may."""
_TRY_SECONDS = 10.0
_MAX_PAUSE_SECONDS = 5.0
_HTTP_OK = 200
_REFUSALS = (409, 410)


class Work:
    """A granted claim: what to run."""

    __slots__ = ("claim_id", "order")

    def __init__(self, claim_id: str, order: WorkOrder) -> None:
        self.claim_id = claim_id
        self.order = order


class RefusedError(FactotumError):
    """The attempt is somebody else's, or over: nothing is to be run."""


class GaveUpError(FactotumError):
    """Nobody answered; the claim may or may not have been granted.

    Attributes:
        claim_id: what was asked for, so that the controller can release it.
    """

    def __init__(self, claim_id: str, message: str) -> None:
        super().__init__(message)
        self.claim_id = claim_id


def unstarted_message(claim_id: str) -> bytes:
    """Return the termination message by which the controller releases a claim."""
    from factotum.core.wire import termination

    return termination.unstarted(claim_id)


def claim(
    surroundings: Surroundings,
    link: ControllerLink,
    *,
    is_stopped: Callable[[], bool],
    say: Callable[[str], None],
    meanwhile: Callable[[], None],
) -> Work:
    """Ask for the attempt until there is a clear answer.

    The id is made by this very process and kept in memory only: a second
    process in the same Pod is another claimant.

    Args:
        surroundings: whose attempt to ask for.
        link: whom to ask.
        is_stopped: whether a shutdown came meanwhile.
        say: is told why it takes longer than usual.
        meanwhile: called once while the first answer is on its way.

    Raises:
        RefusedError: the answer is no.
        GaveUpError: no answer in time, or a shutdown came first.
    """
    claim_id = os.urandom(16).hex()
    path = addresses.claim_path(surroundings.job_uid, surroundings.attempt, surroundings.launch)
    body = f'{{"claim":"{claim_id}"}}'.encode()
    deadline = time.monotonic() + GIVE_UP_SECONDS
    pause = 0.1
    told = ""
    while True:
        if is_stopped():
            raise GaveUpError(claim_id, "told to stop before the job was claimed")
        try:
            reply = link.post(path, body, seconds=_TRY_SECONDS, meanwhile=meanwhile)
            if reply.status == _HTTP_OK:
                return Work(claim_id, WorkOrder(reply.body))
            if reply.status in _REFUSALS:
                raise RefusedError(reply.message)
            problem = f"{reply.status} {reply.message}"
        except UnreachableError as exc:
            problem = str(exc)
        if problem != told:
            say(f"The job cannot be claimed yet: {problem}")
            told = problem
        if time.monotonic() >= deadline:
            raise GaveUpError(claim_id, f"no answer within {GIVE_UP_SECONDS:.0f} s: {problem}")
        # Spread, so that all Pods of a returning controller do not ask at once.
        time.sleep(pause * (0.5 + os.urandom(1)[0] / 512))
        pause = min(_MAX_PAUSE_SECONDS, pause * 2)
