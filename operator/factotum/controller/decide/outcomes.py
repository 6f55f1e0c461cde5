"""What became of a run whose final report never arrived.

Pure: reads a Pod's own words about its end and the last that was known of the
tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from factotum.controller.decide import status
from factotum.controller.facts.observed import Observed
from factotum.controller.facts.pods import PodView
from factotum.core.wire import endings
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
    report = endings.report_of(message, known, len(names), seen.job.sequence)
    if known is not None:
        return report
    told = seen.job.status
    return report.replace(
        job_reference=told.get("jobReference", ""), run_reference=told.get("runReference", "")
    )


def known_report(seen: Observed, names: Sequence[str]) -> Report | None:
    """Return the newest snapshot of the tasks: the report, else the status."""
    report = seen.report
    if report is not None and len(report.states) == len(names):
        return report
    return status.last_report(seen.job, len(names))
