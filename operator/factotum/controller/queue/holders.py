"""Who holds a worker: pure, by what is known of a job and its Pods."""

from collections.abc import Iterable

from factotum.controller.facts.pods import PodView
from factotum.kube.resource import FactotumJob


def is_holder(job: FactotumJob, pods: Iterable[PodView]) -> bool:
    """Whether a job occupies a worker: a runner of it may be running."""
    return job.is_claimed or any(may_run(pod) for pod in pods)


def may_run(pod: PodView) -> bool:
    """Whether a runner may be running in a Pod, or may yet start there.

    One that is being deleted and has no Node never starts: somebody's
    finalizer may keep its object for ever.
    """
    return not pod.ended and not (pod.deleting and not pod.node_name)
