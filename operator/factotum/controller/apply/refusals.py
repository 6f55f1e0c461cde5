"""What it means that the API server did not make a Pod: whether it may yet. Pure.

Final is only what can never pass: that the Pod itself is invalid, by what we
wrote into it. Everything that people or programs beside us decide (quotas,
policies, webhooks, rights, what a LimitRange puts into the Pod) may be changed
while the job waits.
"""

from typing import Final

from factotum.controller.facts.observed import PodRefusal
from factotum.core.words.reasons import Reason
from factotum.kube import errors

_UNPROCESSABLE: Final = 422
_NOT_MADE: Final = frozenset(range(400, 500)) - {408, 429}
"""What says for sure that there is no Pod: a conflict over a quota, say, is another job's luck."""
_DENIED: Final = "denied request", "denied the request"
"""What policies and webhooks say, which may answer with any code."""
_NO_POD: Final = "cannot be handled as a Pod"
"""What is said of fields that there are not, or of another type: a template's."""
_RESOURCES: Final = ".resources."


def refusal_of(exc: errors.KubeError) -> PodRefusal:
    """Return how the creation of a Pod was refused, or that nobody knows."""
    if isinstance(exc, errors.InvalidError) and _never_passes(exc):
        return PodRefusal(
            permanent=True, reason=Reason.POD_REJECTED, message=f"the Pod was refused: {exc}"
        )
    if isinstance(exc, errors.ForbiddenError | errors.InvalidError | errors.NotFoundError):
        return PodRefusal(
            permanent=False, reason=Reason.POD_FORBIDDEN, message=f"the Pod was refused: {exc}"
        )
    return PodRefusal(
        permanent=False,
        reason=Reason.POD_NOT_CREATED,
        message=f"the API server could not make the Pod: {exc}",
        is_answer=exc.status in _NOT_MADE,
    )


def _never_passes(exc: errors.InvalidError) -> bool:
    if any(word in str(exc) for word in _DENIED):
        return False
    if exc.status != _UNPROCESSABLE:
        return _NO_POD in str(exc)
    # Requests and limits are what a LimitRange fills in.
    return any(_RESOURCES not in f"{field}." for field in exc.fields)
