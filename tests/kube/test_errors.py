"""Which exception an answer of the API server becomes. Pure."""

import pytest

from factotum.kube import errors


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", errors.InvalidError),
        (401, "Unauthorized", errors.KubeError),
        (403, "Forbidden", errors.ForbiddenError),
        (404, "NotFound", errors.NotFoundError),
        (409, "Conflict", errors.ConflictError),
        (409, "AlreadyExists", errors.AlreadyExistsError),
        (422, "Invalid", errors.InvalidError),
        (429, "TooManyRequests", errors.UnreachableError),
        (500, "InternalError", errors.UnreachableError),
        (503, "ServiceUnavailable", errors.UnreachableError),
        (504, "Timeout", errors.UnreachableError),
        (418, "", errors.KubeError),
    ],
)
def test_every_status_has_its_exception(status, reason, kind):
    error = errors.from_status(status, reason, "words")

    assert type(error) is kind
    assert (error.status, error.reason, str(error)) == (status, reason, "words")


def test_no_answer_has_no_status():
    assert errors.UnreachableError("away").status == 0
