"""A job's conditions, derived from its state: nothing is decided by them.

``Complete`` and ``Failed`` as batch Jobs have them; ``Ready``, ``Reconciling``
and ``Stalled`` as kstatus reads them (Flux, Argo CD, ``kubectl wait``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from factotum.core.words.states import JobState, RunState
from factotum.kube.resource import FactotumJob, format_time

_MESSAGE_LIMIT: Final = 1024


def derive_conditions(
    job: FactotumJob,
    *,
    state: str,
    outcome: str,
    reason: str,
    message: str,
    accepted: bool,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the whole list for a state the job is about to have.

    Args:
        accepted: whether the factfile was found fit to run.
    """
    succeeded = outcome == RunState.SUCCEEDED
    failed = outcome == RunState.FAILED
    done = state == JobState.DONE
    launched = state == JobState.WORKING or (done and job.claim is not None)
    values = {
        "Accepted": accepted,
        "Launched": launched,
        "Complete": done and succeeded,
        "Failed": done and failed,
        "Suspended": False,
        "Ready": done and succeeded,
        "Reconciling": not done,
        "Stalled": done and failed,
    }
    before = {c["type"]: c for c in _previous(job)}
    return [
        _condition(kind, value, before.get(kind), job.generation, reason, message, now)
        for kind, value in values.items()
    ]


def _previous(job: FactotumJob) -> Sequence[Mapping[str, Any]]:
    conditions = job.status.get("conditions")
    return conditions if isinstance(conditions, list) else ()


def _condition(
    kind: str,
    value: bool,  # noqa: FBT001 - a condition's value is a truth value
    before: Mapping[str, Any] | None,
    generation: int,
    reason: str,
    message: str,
    now: datetime,
) -> dict[str, Any]:
    status = "True" if value else "False"
    changed = before is None or before.get("status") != status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:_MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": format_time(now)
        if changed or before is None
        else before["lastTransitionTime"],
    }
