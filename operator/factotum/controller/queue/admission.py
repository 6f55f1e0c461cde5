"""Who may run next: pure.

First come, first served, by creation time and then UID.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from factotum.kube.resource import JobUid


class Waiting(NamedTuple):
    """A job that wants a worker; compares by whose turn it is."""

    created: str
    uid: JobUid


def admit(queue: Iterable[Waiting], holders: Collection[JobUid], max_workers: int) -> list[JobUid]:
    """Return who gets a worker now, of those who wait."""
    free = max_workers - len(holders)
    if free <= 0:
        return []
    return [w.uid for w in sorted(w for w in queue if w.uid not in holders)[:free]]
