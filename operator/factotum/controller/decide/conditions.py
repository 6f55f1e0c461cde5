"""A job's conditions, derived from its state: nothing is decided by them.

Each is there only while it holds, and only if something reads it:

=============  ================================================================
Reconciling    kstatus (Flux, kpt, Helm's ``--wait``): in progress
Suspended      ``kubectl wait --for=condition=Suspended``, as on batch Jobs
Complete       ``kubectl wait --for=condition=Complete``, as on batch Jobs
Failed         ``kubectl wait --for=condition=Failed``, as on batch Jobs
Stalled        kstatus: failed
=============  ================================================================

What is absent is false, to ``kubectl wait`` and to kstatus alike; kstatus calls
current what is neither reconciling nor stalled, so a succeeded job needs no
Ready. A status write is paid for by the byte, so a condition repeats neither
the generation, which both read in the status, nor the status's message:
``Failed`` alone has that, for whoever reads conditions as those of a batch Job.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState
from factotum.kube.resource import FactotumJob, format_time

_MESSAGE_LIMIT: Final = 1024


def derive_conditions(
    job: FactotumJob, *, state: str, outcome: str, reason: str, message: str, now: datetime
) -> list[dict[str, Any]]:
    """Return the whole list for a state the job is about to have."""
    since = {c["type"]: c["lastTransitionTime"] for c in _previous(job)}
    return [
        {
            "type": kind,
            "status": "True",
            "reason": why,
            "message": words[:_MESSAGE_LIMIT],
            "lastTransitionTime": since.get(kind, format_time(now)),
        }
        for kind, why, words in _true_ones(state, outcome, reason, message)
    ]


def _true_ones(
    state: str, outcome: str, reason: str, message: str
) -> Iterator[tuple[str, str, str]]:
    if state == JobState.WORKING:
        yield "Reconciling", "JobWorking", "a runner has claimed the job"
    elif reason == Reason.SUSPENDED:
        yield "Suspended", "JobSuspended", message
    elif state != JobState.DONE:
        yield "Reconciling", "JobQueued", f"the job waits: {reason}"
    elif outcome == RunState.SUCCEEDED:
        yield "Complete", reason, "the job has ended well"
    else:
        yield "Failed", reason, message
        yield "Stalled", "JobFailed", f"the job has failed: {reason}"


def _previous(job: FactotumJob) -> Sequence[Mapping[str, Any]]:
    conditions = job.status.get("conditions")
    if not isinstance(conditions, list):
        return ()
    return [c for c in conditions if c.get("status") == "True"]
