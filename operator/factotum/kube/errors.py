"""What a request to the Kubernetes API can end in, as exceptions of our own.

The classes say what the caller may do about it, so that nobody compares
numbers; the API's own reason and message stay on the exception.
"""

from typing import Final

from factotum.core.errors import FactotumError


class KubeError(FactotumError):
    """A request was answered with a failure, or not at all.

    Attributes:
        status: the HTTP status, 0 when there was no answer.
        reason: the API's CamelCase reason, e.g. ``NotFound``.
        fields: paths of the fields that the object's own validation refused.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.fields = fields


class UnreachableError(KubeError):
    """No answer, or one that says to come back: the outcome is unknown."""


class NotFoundError(KubeError):
    """The object does not exist."""


class ConflictError(KubeError):
    """The object changed since it was read, or another one has its UID."""


class AlreadyExistsError(KubeError):
    """An object of that name exists."""


class ForbiddenError(KubeError):
    """Refused by RBAC, by quota or by an admission plug-in."""


class InvalidError(KubeError):
    """The object is not acceptable as it stands."""


class ExpiredError(KubeError):
    """A list's or watch's place in time is forgotten: begin again."""


_BY_STATUS: Final[dict[int, type[KubeError]]] = {
    400: InvalidError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
}


def from_status(status: int, reason: str, message: str, fields: tuple[str, ...] = ()) -> KubeError:
    """Choose the exception for an answer's HTTP status and API reason."""
    if reason == "AlreadyExists":
        return AlreadyExistsError(message, status=status, reason=reason, fields=fields)
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = UnreachableError if status == 429 or status >= 500 else KubeError
    return kind(message, status=status, reason=reason, fields=fields)
