"""What a decision about one job needs to know of all the others, and of the operator's settings."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from factotum.controller.facts.cache import Cache
from factotum.controller.observe.history import History
from factotum.controller.observe.namespaces import Namespaces
from factotum.controller.pod_template.judging import Bounds, bounds_of
from factotum.controller.settings import Settings
from factotum.kube.resource import JobUid

_MOST_TELLINGS: Final = 10.0
_TELLINGS_A_SECOND: Final = 2.0


class Allowance:
    """How many statuses may tell of what is no trouble, of all jobs together.

    A thousand jobs that are made at once all take longer to start than they
    should; to write so of each would make it worse.
    """

    def __init__(self) -> None:
        self._left = _MOST_TELLINGS
        self._since = 0.0

    def is_left(self, now: float) -> bool:
        """Whether one may be written now."""
        self._left = min(_MOST_TELLINGS, self._left + (now - self._since) * _TELLINGS_A_SECOND)
        self._since = now
        return self._left >= 1

    def spend(self) -> None:
        """Count one that was written."""
        self._left -= 1


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """Everything around one job.

    Attributes:
        pending_limit: how long a Pod may take to start, in seconds.
        template_bounds: what the operator's settings keep from jobs' templates.
        jobs_kept: which finished jobs are kept.
        pods_kept: which finished jobs keep their Pods.
    """

    namespaces: Namespaces
    allowance: Allowance
    pending_limit: float
    template_bounds: Bounds
    jobs_kept: History
    pods_kept: History


def make_surroundings(
    settings: Settings, cache: Cache, look: Callable[[JobUid], None]
) -> Surroundings:
    """Make them, and have the cache feed what follows it.

    Args:
        look: queues a look at a job.
    """
    jobs_kept = History(
        settings.successful_jobs_history_limit, settings.failed_jobs_history_limit, look
    )
    pods_kept = History(
        settings.successful_pods_history_limit, settings.failed_pods_history_limit, look
    )
    for history in (jobs_kept, pods_kept):
        if history.is_wanted:
            cache.subscribe(history)
    return Surroundings(
        namespaces=Namespaces(),
        allowance=Allowance(),
        pending_limit=settings.pod_pending_timeout or math.inf,
        template_bounds=bounds_of(settings.token_audience, settings.runner_templates),
        jobs_kept=jobs_kept,
        pods_kept=pods_kept,
    )
