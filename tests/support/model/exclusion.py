"""Which jobs may be at work together: what I5 says, checked where a model's claim is written.

Knows nothing of the controller: it goes by what is at work, by job ids and policies.
"""

from collections.abc import Iterable
from typing import Any

from factotum.kube import names
from support.model.parts import Runner


class Exclusion:
    """The job ids and policies of a model's jobs, by UID, also of those that are gone."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, str]] = {}

    def know(self, uid: str, kind: str, policy: str) -> None:
        """Take note of a job."""
        self._jobs[uid] = kind, policy

    def check(self, uid: str, others: Iterable[str]) -> None:
        """Check that a job may be claimed beside all that are seen to be at work."""
        kind, policy = self._jobs[uid]
        if policy == "Allow":
            return
        beside = [other for other in others if other != uid and self._jobs[other][0] == kind]
        assert not beside, f"I5: {uid} is claimed beside {beside}"


def is_at_work(runner: Runner) -> bool:
    """Whether a runner may start tasks, or has some running."""
    return runner.alive and runner.letters is not None and not runner.final


def is_seen(pod: dict[str, Any]) -> bool:
    """Whether anybody can know what runs in a Pod: not once our label was taken off."""
    return names.LABEL_JOB_UID in pod["metadata"]["labels"]
