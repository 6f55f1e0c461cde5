"""The API for whoever may write only for a time: each change asks first whether it still may.

Between that look and the request's first byte there is a moment in which a
process can be stopped. What is sent after it carries a resource version, a
UID or a name that only one can have, so that it changes nothing that somebody
else has changed meanwhile.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from factotum.kube.api import KubeApi, Page, RawObject, WatchEvent
from factotum.kube.errors import KubeError
from factotum.kube.paths import Path


class FencedError(KubeError):
    """The request was not sent: whoever made it may not write, or not any more."""


class FencedApi:
    """Passes requests on to another ``KubeApi``; reads always, changes after a look.

    Args:
        api: where requests go.
        check: raises ``FencedError`` if nothing may be changed now.
    """

    def __init__(self, api: KubeApi, check: Callable[[], None]) -> None:
        self._api = api
        self._check = check

    async def get(self, path: Path) -> RawObject:
        """Read one object as it is now."""
        return await self._api.get(path)

    def pages(
        self, path: Path, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        """Read a whole list in chunks."""
        return self._api.pages(path, selector=selector, only_metadata=only_metadata)

    def watch(
        self,
        path: Path,
        *,
        selector: str = "",
        fields: str = "",
        resource_version: str,
        seconds: int,
    ) -> AsyncIterator[WatchEvent]:
        """Watch a list."""
        return self._api.watch(
            path,
            selector=selector,
            fields=fields,
            resource_version=resource_version,
            seconds=seconds,
        )

    async def create(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Create an object, if anything may be changed now."""
        self._check()
        return await self._api.create(path, body)

    async def replace(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Replace an object, if anything may be changed now."""
        self._check()
        return await self._api.replace(path, body)

    async def delete(self, path: Path, *, uid: str, resource_version: str = "") -> None:
        """Delete an object, if anything may be changed now."""
        self._check()
        await self._api.delete(path, uid=uid, resource_version=resource_version)

    async def merge(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Merge into an object, if anything may be changed now."""
        self._check()
        return await self._api.merge(path, body)

    async def patch_status(
        self, path: Path, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into a status, if anything may be changed now."""
        self._check()
        return await self._api.patch_status(path, status, resource_version=resource_version)
