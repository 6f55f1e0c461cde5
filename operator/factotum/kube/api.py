"""What the controller asks of a Kubernetes API: the seam between it and the transport.

``client.KubeClient`` speaks to an API server, ``memory.MemoryApi`` is one in a
few dictionaries. Bodies are plain JSON; failures are ``errors``.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple, Protocol

from factotum.kube.paths import Path

RawObject = dict[str, Any]
"""A Kubernetes object as its JSON says."""


class Page(NamedTuple):
    """One chunk of a list; ``resource_version`` is the whole list's."""

    items: list[RawObject]
    resource_version: str


class WatchEvent(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    kind: str
    raw: RawObject


class KubeApi(Protocol):
    """The requests that we make. Each raises ``KubeError`` of the class that fits."""

    async def get(self, path: Path) -> RawObject:
        """Read one object as it is now."""

    def pages(
        self, path: Path, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        """Read a whole list in chunks, at least one.

        Args:
            path: of the collection.
            selector: of labels.
            only_metadata: leave out everything else of each object.

        Raises:
            ExpiredError: it took too long: begin again.
        """

    def watch(
        self,
        path: Path,
        *,
        selector: str = "",
        fields: str = "",
        resource_version: str,
        seconds: int,
    ) -> AsyncIterator[WatchEvent]:
        """Watch a list from a version on, for some seconds.

        Args:
            path: of the collection.
            selector: of labels.
            fields: a selector of one field, ``path=value``; what stops to fit
                it is told as DELETED.
            resource_version: what was seen last.
            seconds: after which the watch ends.

        Raises:
            ExpiredError: that version is too old: list again.
        """

    async def create(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Create an object in a collection."""

    async def replace(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Replace an object by another version of it, only if nobody changed it meanwhile.

        Args:
            path: of the object.
            body: all of it, with the resource version that was read.

        Raises:
            ConflictError: it changed: read it again.
        """

    async def delete(self, path: Path, *, uid: str, resource_version: str = "") -> None:
        """Delete the object of that UID; another one of its name stays.

        Args:
            path: of the object.
            uid: of the object.
            resource_version: delete it only if it is still at that version.

        Raises:
            ConflictError: it has another UID, or changed.
        """

    async def merge(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Merge into the object at ``path``, whoever changed it meanwhile."""

    async def patch_status(
        self, path: Path, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into the status of the object at ``path``, only if nobody changed it meanwhile.

        Raises:
            ConflictError: it changed: look again from a live read.
        """


class PodLogs(Protocol):
    """What containers have printed."""

    def log(self, path: Path) -> AsyncIterator[bytes]:
        """Read a log from its beginning (``paths.pod_log``), in pieces as they come.

        Raises:
            NotFoundError: there is no such Pod.
            InvalidError: its container has not begun.
            UnreachableError: it broke off.
        """
