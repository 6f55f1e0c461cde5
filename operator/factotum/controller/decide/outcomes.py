"""What became of a run whose final report never arrived.

Pure: reads a Pod's own words about its end and the last that was known of the
tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from factotum.controller.decide import status
from factotum.controller.facts.observed import Observed
from factotum.controller.facts.pods import PodView
from factotum.core.wire.reports import Report
from factotum.core.wire.termination import Verdict
from factotum.core.words.reasons import Reason

_OWN_WORDS: Final = frozenset(
    {Reason.DEADLINE_EXCEEDED, Reason.EVICTED, "Preempting", "NodeLost", "Shutdown"}
)
"""What the kubelet says of a Pod that explains its end."""
_DISRUPTIONS: Final[Mapping[str, str]] = {
    "PreemptionByScheduler": "Preempting",
    "EvictionByEvictionAPI": Reason.EVICTED,
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
}
"""Why a Pod was ended by somebody else than its kubelet, and the word that is told."""
_NODE_SHUTDOWN: Final = "Terminated"
"""The kubelet's word for a Pod whose Node shuts down."""


def cause_of(pod: PodView) -> tuple[str, str] | None:
    """Return what Kubernetes says of a Pod's end: a reason and a sentence, if it says any."""
    if pod.reason in _OWN_WORDS:
        return pod.reason, pod.message or f"Pod {pod.name}: {pod.reason}"
    if pod.reason == _NODE_SHUTDOWN and pod.disruption[0]:
        return "Shutdown", pod.message or f"the Node of Pod {pod.name} was shut down"
    why, message = pod.disruption
    if why in _DISRUPTIONS:
        return _DISRUPTIONS[why], message or f"Pod {pod.name}: {why}"
    return None


def lost(pod: PodView) -> tuple[str, str]:
    """Return reason and message for a claimed Pod that ended without a verdict."""
    cause = cause_of(pod)
    if cause is not None:
        return cause
    if pod.terminated is None:
        detail = f" ({pod.reason})" if pod.reason else ""
        return Reason.LOST, f"Pod {pod.name} ended without a word of its runner{detail}"
    if pod.terminated.reason == Reason.OOM_KILLED:
        return Reason.OOM_KILLED, f"Pod {pod.name} ran out of memory"
    return Reason.LOST, (
        f"the runner in Pod {pod.name} ended with exit code {pod.terminated.exit_code}"
        " before it could tell the result"
    )


def verdict_of(message: Verdict, seen: Observed, names: Sequence[str]) -> Report:
    """Turn a final termination message into a final report.

    Times and texts, which it has no room for, are the last that were known.
    """
    known = known_report(seen, names)
    states = _padded(message, known, len(names))
    return Report(
        claim_id=message.claim_id,
        sequence=max(message.sequence, seen.job.sequence + 1),
        final=True,
        interrupted=message.interrupted,
        states=states,
        codes=_codes(message, known, states),
        started=known.started if known else {},
        seconds=known.seconds if known else {},
        errors={
            index: text
            for index, text in (known.errors if known else {}).items()
            if states[index] in "FK"
        },
        job_reference=known.job_reference if known else seen.job.status.get("jobReference", ""),
        run_reference=known.run_reference if known else seen.job.status.get("runReference", ""),
    )


def _codes(message: Verdict, known: Report | None, states: str) -> dict[int, int]:
    codes = dict(known.codes) if known else {}
    codes |= message.codes
    for index, letter in enumerate(states):
        # A task that failed with a code nobody told has none, rather than 0.
        if letter in "SN":
            codes.setdefault(index, 0)
    return {index: code for index, code in codes.items() if states[index] in "SNF"}


def _padded(message: Verdict, known: Report | None, total: int) -> str:
    """Return a letter for each task, also for those the message had no room for.

    Its counts are exact, so what a last report leaves open can only be one of
    the letters not yet used up; a failure is never lost that way.
    """
    states = message.states[:total]
    left = {k: n - states.count(k) for k, n in message.counts.items()}
    rest = []
    for index in range(len(states), total):
        letter = known.states[index] if known and known.states[index] in "SNFK" else ""
        if not left.get(letter, 0):
            letter = next((k for k, n in left.items() if n > 0), "W")
        left[letter] = left.get(letter, 0) - 1
        rest.append(letter)
    return states + "".join(rest)


def known_report(seen: Observed, names: Sequence[str]) -> Report | None:
    """Return the newest snapshot of the tasks: the report, else the status."""
    report = seen.report
    if report is not None and len(report.states) == len(names):
        return report
    return status.last_report(seen.job, len(names))
