"""Requests are counted where they pass: on the way to the API server and to Consul, and from Pods.

Each of these stands in front of the real thing and is like it to whoever asks.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import Counter, Histogram

from factotum.controller.metrics.figures import Figures
from factotum.controller.mirror.feeding import ClosableStore
from factotum.core.wire import addresses
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi, Page, RawObject, WatchEvent
from factotum.kube.paths import Path
from factotum.persistence.consul import StoredValue
from factotum.persistence.errors import StoreConflictError, StoreError, StoreRefusedError

_T = TypeVar("_T")

_PLURALS: Final = {
    value.plural: value.plural
    for value in vars(paths).values()
    if isinstance(value, paths.Resource)
}
_OTHER: Final = "other"
_NO_ANSWER: Final = "none"
_STATUS: Final = "/status"


class CountedApi:
    """A ``KubeApi`` that counts what is asked of another one."""

    def __init__(self, api: KubeApi, figures: Figures) -> None:
        self._api = api
        self._codes: dict[tuple[str, str, str], Counter] = {}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._figures = figures

    async def get(self, path: Path) -> RawObject:
        """Read one object."""
        return await self._timed("get", path, self._api.get(path))

    async def pages(
        self, path: Path, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        """Read a whole list; each page is a request."""
        pages = self._api.pages(path, selector=selector, only_metadata=only_metadata)
        while True:
            try:
                page = await self._timed("list", path, anext(pages))
            except StopAsyncIteration:
                return
            yield page

    async def watch(
        self,
        path: Path,
        *,
        selector: str = "",
        fields: str = "",
        resource_version: str,
        seconds: int,
    ) -> AsyncIterator[WatchEvent]:
        """Watch a list; counted when it ends."""
        code = "200"
        try:
            async for event in self._api.watch(
                path,
                selector=selector,
                fields=fields,
                resource_version=resource_version,
                seconds=seconds,
            ):
                yield event
        except errors.KubeError as exc:
            code = _code_of(exc)
            raise
        finally:
            self._count("watch", _resource(path), code)

    async def create(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Create an object."""
        return await self._timed("create", path, self._api.create(path, body), "201")

    async def replace(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Replace an object."""
        return await self._timed("update", path, self._api.replace(path, body))

    async def delete(self, path: Path, *, uid: str, resource_version: str = "") -> None:
        """Delete an object."""
        asked = self._api.delete(path, uid=uid, resource_version=resource_version)
        await self._timed("delete", path, asked)

    async def merge(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Merge into an object."""
        return await self._timed("patch", path, self._api.merge(path, body))

    async def patch_status(
        self, path: Path, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into a status."""
        asked = self._api.patch_status(path, status, resource_version=resource_version)
        return await self._timed("patch", path, asked, subresource=_STATUS)

    async def _timed(
        self,
        verb: str,
        path: Path,
        answer: Awaitable[_T],
        good: str = "200",
        subresource: str = "",
    ) -> _T:
        began = time.perf_counter()
        code = _NO_ANSWER
        try:
            result = await answer
            code = good
        except StopAsyncIteration:
            code = ""
            raise
        except errors.KubeError as exc:
            code = _code_of(exc)
            raise
        finally:
            if code:
                resource = _resource(path) + subresource
                self._count(verb, resource, code)
                self._took(verb, resource, time.perf_counter() - began)
        return result

    def _count(self, verb: str, resource: str, code: str) -> None:
        key = verb, resource, code
        counter = self._codes.get(key)
        if counter is None:
            counter = self._codes[key] = self._figures.api_requests.labels(*key)
        counter.inc()

    def _took(self, verb: str, resource: str, seconds: float) -> None:
        key = verb, resource
        histogram = self._seconds.get(key)
        if histogram is None:
            histogram = self._seconds[key] = self._figures.api_seconds.labels(*key)
        histogram.observe(seconds)


def _code_of(exc: errors.KubeError) -> str:
    return str(exc.status) if 100 <= exc.status < 600 else _NO_ANSWER


def _resource(path: str) -> str:
    """Return the kind of object that a path leads to; never a word that users choose.

    By its place: an object can have the name of a kind.
    """
    parts = path.partition("?")[0].split("/")
    parts = parts[3 if parts[1] == "api" else 4 :]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    return _PLURALS.get(parts[0], _OTHER) if parts else _OTHER


class CountedStore:
    """A ``Store`` that counts what is asked of another one."""

    def __init__(self, store: ClosableStore, figures: Figures) -> None:
        self._store = store
        self._figures = figures

    def close(self) -> None:
        """Close it."""
        self._store.close()

    async def get(self, path: str) -> StoredValue:
        """Read one key."""
        return await self._timed("get", self._store.get(path))

    async def put(self, path: str, value: bytes, *, revision: int) -> int:
        """Write one key by compare-and-set."""
        return await self._timed("put", self._store.put(path, value, revision=revision))

    async def entries(self, prefix: str) -> Mapping[str, StoredValue]:
        """Read every key below a prefix."""
        return await self._timed("list", self._store.entries(prefix))

    async def probe(self, path: str) -> int:
        """Ask whether it is there."""
        return await self._timed("probe", self._store.probe(path))

    async def _timed(self, operation: str, answer: Awaitable[_T]) -> _T:
        began = time.perf_counter()
        result = "unreachable"  # cancelled by whoever waited too long, too
        try:
            value = await answer
            result = "ok"
        except StoreConflictError:
            result = "conflict"
            raise
        except StoreRefusedError:
            result = "refused"
            raise
        except StoreError:
            raise
        finally:
            self._figures.consul_requests.labels(operation, result).inc()
            self._figures.consul_seconds.labels(operation).observe(time.perf_counter() - began)
        return value


def counting_pods(figures: Figures) -> Middleware:
    """Return what counts the requests of Pods, by answer."""
    kinds = {
        head: (word, figures.claims_seconds.labels(word))
        for head, word in ((addresses.CLAIMS, "claim"), (addresses.REPORTS, "report"))
    }

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = next((kind for head, kind in kinds.items() if request.path.startswith(head)), None)
        if kind is None:
            return await handler(request)
        began = time.perf_counter()
        code = _NO_ANSWER
        try:
            response = await handler(request)
            code = str(response.status)
        except web.HTTPException as exc:
            code = str(exc.status)
            raise
        finally:
            figures.claims_requests.labels(kind[0], code).inc()
            kind[1].observe(time.perf_counter() - began)
        return response

    return count
