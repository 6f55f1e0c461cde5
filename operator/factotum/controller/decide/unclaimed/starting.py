"""What to do about a Pod that is to be made, or was made and is not claimed yet. Pure.

Waiting costs nothing and may end at any moment, so a Pod that does not start
never ends its job; but what keeps it may be what it was made from, an image
that has been put right since. So it is given up after a while, and made anew.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from factotum.controller.decide import attempts, status
from factotum.controller.decide.decision import RETRY_SECONDS, Decision, Notice
from factotum.controller.decide.unclaimed import queueing
from factotum.controller.decide.unclaimed.telling import wait
from factotum.controller.facts.observed import Observed, Waits
from factotum.controller.facts.pods import PodView
from factotum.core.words import reasons
from factotum.core.words.reasons import Reason
from factotum.core.words.states import RunState
from factotum.kube.resource import FactotumJob

SLOW_START_SECONDS: Final = 5.0
"""A job whose Pod takes longer gets its reason told, and gives its worker slot to others."""
UNHEARD_SECONDS: Final = 10.0
"""A runner asks for its attempt as the first thing; in an outage again after 8 s at most."""
NAMELESS_SECONDS: Final = 60.0
"""A Pod that takes longer gives the slot back though nothing is known to keep it."""
LAUNCH_BACKOFF_SECONDS: Final = (0, 5, 10, 20, 40)
_NOT_PULLED: Final = (
    Reason.IMAGE_PULL_BACK_OFF,
    "ErrImagePull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
"""What a kubelet says of one image by turns: the first is told."""
_WORD: Final = re.compile("[A-Z][A-Za-z0-9]{1,63}")
"""What can be a reason. Others than kubelets write Pods' statuses, too."""


def being_made(seen: Observed, seconds: float, now: datetime) -> Decision:
    """Decide about a job whose Pod the API server was asked for, without an answer yet."""
    if seconds < SLOW_START_SECONDS:
        return Decision(again_in=SLOW_START_SECONDS - seconds)
    message = (
        "the API server has not answered the request for the Pod yet:"
        " an admission webhook that hangs, or the server itself"
    )
    return wait(seen, Reason.POD_NOT_CREATED, message, now)


def starting(seen: Observed, pod: PodView, now: datetime) -> Decision:
    """Decide about an unclaimed Pod that has not ended."""
    if seen.pending_seconds < SLOW_START_SECONDS:
        return Decision(again_in=SLOW_START_SECONDS)
    if pod.phase == "Pending" and (end := _late(seen, pod, now)) is not None:
        return end
    if pod.waiting:
        return _stuck(seen, pod, now)
    if isinstance(seen.place, Waits):
        message = f"Pod {pod.name} is ready; {queueing.busy(seen.place, seen.job.namespace)}"
        return wait(seen, Reason.WAITING_FOR_WORKER, message, now)
    if seen.heard:
        return Decision(again_in=RETRY_SECONDS)
    # What an operator before this one has told of the launch goes on, though the time begins anew.
    is_told = pod.phase == "Running" and seen.job.reason == Reason.RUNNER_NOT_HEARD
    if seen.running_seconds >= UNHEARD_SECONDS or is_told:
        message = (
            f"Pod {pod.name} runs, but its runner has not asked for the job: can it reach the"
            " operator (--claims-url, NetworkPolicies, DNS)? Its log says what it tries"
        )
        return wait(seen, Reason.RUNNER_NOT_HEARD, message, now)
    if not seen.may_tell:
        return Decision(again_in=RETRY_SECONDS)
    return wait(seen, Reason.POD_PENDING, _progress(pod), now)


def _stuck(seen: Observed, pod: PodView, now: datetime) -> Decision:
    """Tell in Kubernetes' own word why a Pod does not start."""
    word, _, cause = pod.waiting.partition(": ")
    why, reason = pod.waiting, word
    if word in _NOT_PULLED:
        reason = Reason.IMAGE_PULL_BACK_OFF
        # Its two words for one thing must not make two messages.
        why = cause if cause and word in _NOT_PULLED[:2] else pod.waiting
    elif word in reasons.TABLE or not _WORD.fullmatch(word):
        # A word of ours would say something else of the job.
        reason = Reason.POD_PENDING
    return wait(seen, reason, f"Pod {pod.name} does not start: {why}", now)


def _progress(pod: PodView) -> str:
    if not pod.node_name:
        return f"Pod {pod.name} is not scheduled yet"
    if pod.preparing:
        return f"init container {pod.preparing} of Pod {pod.name} runs"
    if pod.phase == "Pending":
        return f"Pod {pod.name} is being started on Node {pod.node_name}"
    return f"Pod {pod.name} runs and has not asked for the job yet"


def is_stuck(pod: PodView, *, pending: float, running: float, heard: bool) -> bool:
    """Whether a Pod does not get to its claim, so that others may run until it does.

    Args:
        pod: an unclaimed one.
        pending: seconds since it is known.
        running: seconds since it is known to run.
        heard: its runner has asked for the attempt.
    """
    if pod.waiting:
        return pending >= SLOW_START_SECONDS
    if pod.phase == "Pending":
        return pending >= NAMELESS_SECONDS
    return not heard and running >= UNHEARD_SECONDS


def _late(seen: Observed, pod: PodView, now: datetime) -> Decision | None:
    """Decide about a Pod that has not started in time; None: it has time left.

    Its deadline is the kubelet's business, but one that has no Node has no kubelet.
    """
    deadline = seen.job.spec.get("activeDeadlineSeconds")
    if deadline is not None and seen.attempt_seconds >= deadline:
        message = f"Pod {pod.name} did not start before the deadline: {pod.waiting}".rstrip(": ")
        patch = status.finished(
            seen.job, succeeded=False, reason=Reason.DEADLINE_EXCEEDED, message=message, now=now
        )
        return attempts.ended(seen.job, patch, now)
    # An init container that is at work takes the time that it takes.
    is_late = seen.pending_seconds >= seen.pending_limit and not pod.preparing
    return _give_up(seen, pod, now) if is_late else None


def _give_up(seen: Observed, pod: PodView, now: datetime) -> Decision:
    """Count the launch, so that its claim is refused; its Pod is deleted by what follows."""
    job = seen.job
    why = pod.waiting or "nobody says why"
    message = f"Pod {pod.name} did not start within {seen.pending_limit:g} s and is replaced: {why}"
    patch = next_launch(job, message, now) | {"launchesGivenUp": job.launches_given_up + 1}
    return Decision(patch=patch, notice=relaunch_notice(message))


def next_launch(job: FactotumJob, message: str, now: datetime) -> status.Patch:
    """Give the attempt its next launch, later each time."""
    delay = LAUNCH_BACKOFF_SECONDS[min(job.launch, len(LAUNCH_BACKOFF_SECONDS)) - 1]
    not_before = now + timedelta(seconds=delay)
    return status.relaunch(job, message=message, not_before=not_before, now=now)


def relaunch_notice(message: str) -> Notice:
    """Tell that a Pod was of no use: each time, since each may have its own cause."""
    kind = reasons.notice_of(Reason.RELAUNCHING, RunState.WAITING)
    return Notice(type=kind, reason=Reason.RELAUNCHING, message=message)
