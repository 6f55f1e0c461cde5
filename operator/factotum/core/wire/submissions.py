"""Why the operator would have a job server hand in nothing more: what ``/submissions`` answers."""

from __future__ import annotations

PATH = "/submissions"
DRAINS = "the operator drains"
NOT_LEADING = "this replica does not lead"
"""It knows nothing of the queue."""


def full(max_jobs: int) -> str:
    """Say that as many jobs wait as may."""
    return f"the queue is full, as {max_jobs} jobs wait"
