"""Who is asking: a Pod's own token, checked and remembered.

The token is bound to the Pod and to our audience, so it names the Pod and is
of no use for anything else. The API server's public keys tell whose it is;
where they do not, the API server is asked.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import Final, Protocol

from factotum.kube import errors, paths
from factotum.kube.api import KubeApi

_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_REMEMBER_SECONDS: Final = 300.0
_MAX_REMEMBERED: Final = 20_000
_MAX_LENGTH: Final = 16 * 1024
_AT_ONCE: Final = 32
"""TokenReviews under way at once."""
_MAX_WAITING: Final = 2000
"""Requests that wait for one; a thousand Pods may start at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity:
    """The Pod that a token belongs to."""

    namespace: str
    pod_name: str
    pod_uid: str


class NotSureError(Exception):
    """It cannot be told without the API server whose token it is."""


class OfflineCheck(Protocol):
    """Tells whose a token is without a request for each."""

    async def identify(self, token: str) -> PodIdentity | None:
        """Return whose token it is; None if it is surely nobody's, or not for us.

        Raises:
            NotSureError: ask the API server.
        """


class TokenReviewer:
    """Checks tokens, by TokenReview where an offline check is not sure."""

    def __init__(self, api: KubeApi, audience: str, offline: OfflineCheck) -> None:
        self._api = api
        self._audience = audience
        self._offline = offline
        self._known: dict[bytes, tuple[float, PodIdentity]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def identify(self, token: str) -> PodIdentity | None:
        """Return whose token it is; None if it is nobody's, or not for us.

        Raises:
            KubeError: the API server did not say.
        """
        if len(token) > _MAX_LENGTH or not token.isascii():
            return None
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known[0] < _REMEMBER_SECONDS:
            return known[1]
        try:
            return self._remember(digest, await self._offline.identify(token))
        except NotSureError:
            return await self._ask(token, digest)

    async def _ask(self, token: str, digest: bytes) -> PodIdentity | None:
        # Whoever can connect can make us ask: a flood of bad tokens must not become one there.
        if self._waiting >= _MAX_WAITING:
            raise errors.UnreachableError("too many tokens are being checked")
        self._waiting += 1
        try:
            async with self._turns:
                return await self._review(token, digest)
        finally:
            self._waiting -= 1

    async def _review(self, token: str, digest: bytes) -> PodIdentity | None:
        review = await self._api.create(
            paths.collection(paths.TOKEN_REVIEWS),
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token, "audiences": [self._audience]},
            },
        )
        status = review.get("status") or {}
        user = status.get("user") or {}
        extra = user.get("extra") or {}
        name, uid = extra.get(_POD_NAME), extra.get(_POD_UID)
        if not status.get("authenticated") or not name or not uid:
            return None
        if self._audience not in (status.get("audiences") or ()):
            return None
        namespace = namespace_of(user.get("username"))
        if namespace is None:
            return None
        return self._remember(
            digest, PodIdentity(namespace=namespace, pod_name=name[0], pod_uid=uid[0])
        )

    def _remember(self, digest: bytes, identity: PodIdentity | None) -> PodIdentity | None:
        if identity is not None:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[digest] = (time.monotonic(), identity)
        return identity


def namespace_of(user: object) -> str | None:
    """Return the namespace of a service account by its user name; None if it is no account's."""
    parts = str(user).split(":")
    is_account = len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]
    return parts[2] if is_account else None
