"""Who is asking: a Pod's own token, checked by the API server and remembered.

The token is bound to the Pod and to our audience, so it names the Pod and is
of no use for anything else.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Final

from factotum.kube.client import KubeClient

_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_REMEMBER_SECONDS: Final = 300.0
_MAX_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity:
    """The Pod that a token belongs to."""

    namespace: str
    pod_name: str
    pod_uid: str


class TokenReviewer:
    """Checks tokens by TokenReview."""

    def __init__(self, client: KubeClient, audience: str) -> None:
        self._client = client
        self._audience = audience
        self._known: dict[bytes, tuple[float, PodIdentity]] = {}

    async def identify(self, token: str) -> PodIdentity | None:
        """Return whose token it is; None if it is nobody's, or not for us.

        Raises:
            KubeError: the API server did not say.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known[0] < _REMEMBER_SECONDS:
            return known[1]
        review = await self._client.create(
            "/apis/authentication.k8s.io/v1/tokenreviews",
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
        # system:serviceaccount:NAMESPACE:NAME
        parts = str(user.get("username", "")).split(":")
        if len(parts) != 4:
            return None
        identity = PodIdentity(namespace=parts[2], pod_name=name[0], pod_uid=uid[0])
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[digest] = (time.monotonic(), identity)
        return identity
