"""What is written into a FactotumJob to have it resumed, suspended or cancelled. Pure."""

from collections.abc import Mapping
from typing import Any

from factotum.core.words.reasons import Reason
from factotum.core.words.states import RunState
from factotum.jobs.errors import NotPossibleError
from factotum.jobs.kubernetes.objects import records
from factotum.jobs.views import Order
from factotum.kube import names
from factotum.kube.resource import FactotumJob


def stop(job: FactotumJob, order: Order) -> Mapping[str, Any] | None:
    """Return the change that suspends or cancels a job; None: it says so already.

    Raises:
        NotPossibleError: there is nothing to stop.
    """
    is_suspended = job.reason == Reason.SUSPENDED and job.desired == order
    if (job.is_done and not records.is_resuming(job)) or job.deleting or is_suspended:
        raise NotPossibleError(
            f"job {job.name} is {job.state or 'new'}, {job.reason}: nothing to stop"
        )
    if job.desired == order:
        return None
    return _change(job, {"spec": {"desiredState": str(order)}})


def resume(job: FactotumJob) -> Mapping[str, Any] | None:
    """Return the change that has a job go on, or have another attempt; None: it says so already.

    Raises:
        NotPossibleError: there is nothing to resume.
    """
    if records.is_resuming(job):
        return None
    has_failed = job.is_done and job.status.get("outcome") == RunState.FAILED
    if job.deleting or not (has_failed or job.desired == Order.SUSPEND):
        raise NotPossibleError(
            f"job {job.name} is {job.state or 'new'}, {job.reason}: nothing to resume"
        )
    change: dict[str, Any] = {"spec": {"desiredState": str(Order.RUN)}}
    if has_failed:
        # Another value than any before: the object's version grows with each change.
        value = f"version-{job.resource_version}"
        change["metadata"] = {"annotations": {names.ANNOTATION_RESUME: value}}
    return _change(job, change)


def _change(job: FactotumJob, change: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a change made only to the version that was looked at."""
    metadata = {**change.get("metadata", {}), "resourceVersion": job.resource_version}
    return {**change, "metadata": metadata}
