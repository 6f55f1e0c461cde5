"""Whether one more job may be handed in: what a job server asks before it makes a FactotumJob.

Pure. FactotumJobs that others make are never refused for these reasons: they
wait, and are told so (``QueueFull``).
"""

from factotum.core.wire import submissions


def refusal(*, waiting: int, max_jobs: int, drains: bool) -> str | None:
    """Say why a submission is refused, if it is.

    Args:
        waiting: how many jobs wait now.
        max_jobs: how many may.
        drains: whether the operator is to take on nothing new.
    """
    if drains:
        return submissions.DRAINS
    if waiting >= max_jobs:
        return submissions.full(max_jobs)
    return None
