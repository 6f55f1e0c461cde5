"""Callers by their bearer tokens, and what they may do, as the cluster says (RBAC).

TokenReview says whose a token is, SubjectAccessReview whether he may do to
FactotumJobs of the namespace what he asks us to do for him. Both are remembered
for seconds: who loses a right keeps it no longer than that. Streams last longer
than a question; the door asks for them again (``gateway.doorkeeper``).
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from factotum.gateway.access.protocol import UNKNOWN, Deed, Denial, bearer_token
from factotum.kube import errors, names, paths
from factotum.kube.api import KubeApi

_KEPT_SECONDS: Final = 10.0
_MOST_KEPT: Final = 4096
_MAX_TOKEN: Final = 16 * 1024
_AT_ONCE: Final = 16
_MAX_WAITING: Final = 512
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose a token is, as a TokenReview says."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, Any]


class ReviewedAccess:
    """Asks the cluster. Implements ``Access``.

    Args:
        api: the cluster.
        namespace: whose jobs are served.
        audience: of the tokens that count; empty: the API server's own.
        kept_seconds: how long an answer of the cluster's is remembered.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        audience: str,
        *,
        kept_seconds: float = _KEPT_SECONDS,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._audience = audience
        self._callers: _Memory[bytes, Caller | None] = _Memory(kept_seconds)
        self._answers: _Memory[tuple[bytes, Deed], bool] = _Memory(kept_seconds)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def denial(self, headers: Mapping[str, str], deed: Deed) -> Denial | None:
        """Return why a caller may not do something (see ``Access.denial``)."""
        token = bearer_token(headers)
        if not token or len(token) > _MAX_TOKEN or not token.isascii():
            return UNKNOWN
        digest = hashlib.sha256(token.encode()).digest()
        try:
            caller = await self._caller(token, digest)
            if caller is None:
                return UNKNOWN
            if deed is Deed.LOOK or await self._may(caller, digest, deed):
                return None
        except errors.KubeError as error:
            return Denial(503, f"who may do what cannot be found out now: {error}")
        what = f"{deed.resource}/{deed.subresource}".rstrip("/")
        return Denial(
            403, f"{caller.name!r:.200} may not {deed.verb} {what} in namespace {self._namespace}"
        )

    async def _caller(self, token: str, digest: bytes) -> Caller | None:
        known = self._callers.get(digest)
        if known is not None:
            return known[0]
        caller = await self._review(token)
        self._callers.put(digest, caller)
        return caller

    async def _review(self, token: str) -> Caller | None:
        spec: dict[str, Any] = {"token": token}
        if self._audience:
            spec["audiences"] = [self._audience]
        status = await self._ask(
            paths.collection(paths.TOKEN_REVIEWS),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec},
        )
        # An authenticator that knows no audiences leaves them out: then it did not check them.
        if self._audience and self._audience not in (status.get("audiences") or ()):
            return None
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        return Caller(
            name=str(user["username"]),
            uid=str(user.get("uid") or ""),
            groups=tuple(map(str, user.get("groups") or ())),
            extra=user.get("extra") or {},
        )

    async def _may(self, caller: Caller, digest: bytes, deed: Deed) -> bool:
        known = self._answers.get((digest, deed))
        if known is not None:
            return known[0]
        status = await self._ask(
            paths.collection(paths.ACCESS_REVIEWS),
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": caller.name,
                    "uid": caller.uid,
                    "groups": list(caller.groups),
                    "extra": dict(caller.extra),
                    "resourceAttributes": {
                        "namespace": self._namespace,
                        "verb": deed.verb,
                        "group": names.GROUP if deed.resource == names.PLURAL else "",
                        "resource": deed.resource,
                        "subresource": deed.subresource,
                    },
                },
            },
        )
        may = status.get("allowed") is True and status.get("denied") is not True
        self._answers.put((digest, deed), may)
        return may

    async def _ask(self, path: paths.Path, review: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the API server answer a review; a flood here must not become one there."""
        if self._waiting >= _MAX_WAITING:
            raise errors.UnreachableError("too many callers are being looked at")
        self._waiting += 1
        try:
            async with self._turns:
                answer = await self._api.create(path, review)
        finally:
            self._waiting -= 1
        return answer.get("status") or {}


class _Memory(Generic[_K, _V]):
    """The newest few answers, for seconds."""

    def __init__(self, kept_seconds: float) -> None:
        self._kept_seconds = kept_seconds
        self._kept: OrderedDict[_K, tuple[float, _V]] = OrderedDict()

    def get(self, key: _K) -> tuple[_V] | None:
        kept = self._kept.get(key)
        if kept is None or time.monotonic() - kept[0] > self._kept_seconds:
            return None
        return (kept[1],)

    def put(self, key: _K, value: _V) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (time.monotonic(), value)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
