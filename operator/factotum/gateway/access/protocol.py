"""What a caller wants to do, and the seam to whoever says whether he may."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol


class Deed(Enum):
    """What a caller wants: the verb, resource and subresource by which Kubernetes grants it.

    LOOK is what tells nothing of jobs: whoever is known may do it.
    """

    LOOK = ("", "", "")
    SUBMIT = ("create", "factotumjobs", "")
    GET = ("get", "factotumjobs", "")
    LIST = ("list", "factotumjobs", "")
    WATCH = ("watch", "factotumjobs", "")
    READ_LOG = ("get", "pods", "log")
    CHANGE = ("patch", "factotumjobs", "")
    SET = ("update", "factotumjobs", "")

    @property
    def verb(self) -> str:
        """What is done."""
        return self.value[0]

    @property
    def resource(self) -> str:
        """What it is done to."""
        return self.value[1]

    @property
    def subresource(self) -> str:
        """Which part of it; empty: all."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a caller is not served.

    Attributes:
        status: HTTP's: 401, who he is is not known; 403, he may not; 503, nobody can say now.
        text: a sentence.
    """

    status: int
    text: str

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says beside it."""
        if self.status == 401:
            return [(b"www-authenticate", b"Bearer")]
        return [(b"retry-after", b"5")] if self.status == 503 else []


UNKNOWN: Final = Denial(401, "a valid token is needed (Authorization: Bearer)")
"""Who shows no token, or one that nobody knows."""


class Access(Protocol):
    """Says who may do what."""

    async def denial(self, headers: Mapping[str, str], deed: Deed) -> Denial | None:
        """Return why a caller may not do something; None: he may.

        Args:
            headers: of his request, names in lower case.
            deed: what he wants.
        """


def bearer_token(headers: Mapping[str, str]) -> str:
    """Return the token that a caller shows; empty: none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
