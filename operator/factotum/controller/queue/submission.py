"""Whether one more job may be handed in: what a job server asks before it makes a FactotumJob.

Pure. FactotumJobs that others make are never refused for these reasons: they
wait, and are told so (``QueueFull``).
"""


def refusal(*, waiting: int, max_jobs: int, drains: bool) -> str | None:
    """Say why a submission is refused, if it is.

    Args:
        waiting: how many jobs wait now.
        max_jobs: how many may.
        drains: whether the operator is to take on nothing new.
    """
    if drains:
        return "the operator drains"
    if waiting >= max_jobs:
        return f"the queue is full, as {max_jobs} jobs wait"
    return None
