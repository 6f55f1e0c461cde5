"""What a failed request to the API server means to whoever asked for a job."""

import contextlib
from collections.abc import Iterator
from typing import Final

from factotum.jobs.errors import BackendAwayError, BackendError, RefusedByPolicyError
from factotum.kube import errors

_TOO_LARGE: Final = 413
_OWN_RIGHTS: Final = " cannot "
"""Of the sentence in which RBAC says no; quotas and admission plug-ins have others."""


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn what a request ends in into an error of the job service's.

    Args:
        doing: what is being done, for the message.

    Raises:
        BackendAwayError: there was no answer.
        RefusedByPolicyError: the object is not acceptable.
        BackendError: anything else.
    """
    try:
        yield
    except errors.UnreachableError as error:
        raise BackendAwayError(f"the API server did not answer while {doing}: {error}") from None
    except errors.ForbiddenError as error:
        if _OWN_RIGHTS in str(error):
            raise BackendError(f"this server lacks a right while {doing}: {error}") from None
        raise RefusedByPolicyError(f"refused by the cluster while {doing}: {error}") from None
    except errors.InvalidError as error:
        raise RefusedByPolicyError(f"refused by the cluster while {doing}: {error}") from None
    except errors.KubeError as error:
        if error.status == _TOO_LARGE:
            raise RefusedByPolicyError("it is larger than the API server takes") from None
        raise BackendError(f"the API server failed while {doing}: {error}") from None
