"""The API server's public keys: a Pod's token is checked with them, without asking for each.

The key set and its issuer are what the API server publishes for that
(service account issuer discovery). What they cannot tell for sure is left to
a TokenReview: a key that is not known, another issuer, or a cluster that does
not let us read them.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt

from factotum.controller.claims.tokens import NotSureError, PodIdentity, namespace_of
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi

logger = logging.getLogger(__name__)

_ALGORITHMS: Final = ("RS256", "ES256", "ES384", "ES512", "PS256")
"""Those that the API server can sign with; none that takes a shared secret."""
_LEEWAY_SECONDS: Final = 10
_AGAIN_SECONDS: Final = 60.0
"""How soon the keys are read again for one that is not known."""
_KEEP_SECONDS: Final = 600.0
"""How long they are believed: one that was taken out of use stops to count."""


class SigningKeys:
    """Checks tokens by the keys that signed them. Implements ``OfflineCheck``."""

    def __init__(self, api: KubeApi, audience: str) -> None:
        self._api = api
        self._audience = audience
        self._issuer = ""
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at = -_KEEP_SECONDS

    async def identify(self, token: str) -> PodIdentity | None:
        """Return whose token it is; None if it is surely nobody's, or not for us.

        Raises:
            NotSureError: the keys do not say.
        """
        try:
            head = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            return None
        key = await self._key(head.get("kid"))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "aud", "sub", "iss"]},
            )
        except jwt.InvalidTokenError:
            return None
        if claims["iss"] != self._issuer:
            raise NotSureError("it is of another issuer")
        return _pod_of(claims)

    async def _key(self, kid: object) -> jwt.PyJWK:
        """Return the key of that id.

        Raises:
            NotSureError: it is not known.
        """
        age = time.monotonic() - self._read_at
        if age >= _KEEP_SECONDS or (age >= _AGAIN_SECONDS and kid not in self._keys):
            await self._read()
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise NotSureError("its key is not known")
        return key

    async def _read(self) -> None:
        self._read_at = time.monotonic()  # at once: who comes meanwhile does not read them too
        try:
            about = await self._api.get(paths.OPENID_CONFIGURATION)
            published = await self._api.get(paths.OPENID_KEYS)
            keys = jwt.PyJWKSet.from_dict(published).keys
            self._issuer = str(about["issuer"])
            self._keys = {key.key_id: key for key in keys if key.key_id}
        except (errors.KubeError, jwt.PyJWTError, KeyError, TypeError) as exc:
            logger.info("the API server's public keys cannot be read, it is asked instead: %s", exc)


def _pod_of(claims: Mapping[str, Any]) -> PodIdentity | None:
    bound = claims.get("kubernetes.io")
    pod = bound.get("pod") if isinstance(bound, Mapping) else None
    if not isinstance(bound, Mapping) or not isinstance(pod, Mapping):
        return None
    namespace, name, uid = bound.get("namespace"), pod.get("name"), pod.get("uid")
    if not all(isinstance(each, str) and each for each in (namespace, name, uid)):
        return None
    if namespace_of(claims["sub"]) != namespace:
        return None
    return PodIdentity(namespace=str(namespace), pod_name=str(name), pod_uid=str(uid))
