"""Who holds a worker and a job id: pure, by what is known of a job and its Pods."""

from collections.abc import Iterable

from factotum.controller.facts.pods import PodView
from factotum.controller.queue.admission import Key
from factotum.kube.resource import FactotumJob


def is_holder(job: FactotumJob, pods: Iterable[PodView]) -> bool:
    """Whether a job occupies a worker: a runner of it may be running."""
    return job.is_claimed or any(may_run(pod) for pod in pods)


def ids_of(job: FactotumJob | None, pods: Iterable[PodView]) -> set[Key]:
    """Return the job ids that a job has, as it is at work or Pods of it have not ended.

    Its status says it, and so does each Pod: who changes one of them takes no
    job id away.
    """
    running = [pod for pod in pods if may_run(pod)]
    ids = {Key(pod.namespace, pod.job_id) for pod in running if pod.job_id}
    if job is not None and job.job_id and (running or job.is_claimed):
        ids.add(Key(job.namespace, job.job_id))
    return ids


def may_run(pod: PodView) -> bool:
    """Whether a runner may be running in a Pod, or may yet start there.

    One that is being deleted and has no Node never starts: somebody's
    finalizer may keep its object for ever.
    """
    return not pod.ended and not (pod.deleting and not pod.node_name)
