"""One kind of object followed by list and watch, into somebody's cache.

A watch promises little: when it ends it goes on from the last version seen,
when that is too old everything is listed again. What the objects mean is the
cache's business.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from factotum.kube import errors
from factotum.kube.api import KubeApi, RawObject
from factotum.kube.paths import Path, Resource, path_of

logger = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 300
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where what is seen goes.

    Attributes:
        resource: its kind.
        put: takes in a version of an object.
        drop: is told that an object is gone, or seems to be.
        known: returns, by UID, the objects that are known now, of this reflector's paths.
        version: returns the newest known version of an object, 0 if it is not known.
        listing: is told True before everything is listed, False once it was: in between what is
            known is of no one moment.
    """

    resource: Resource
    put: Callable[[RawObject], Any]
    drop: Callable[[RawObject], None]
    known: Callable[[], dict[str, RawObject]]
    version: Callable[[str], int]
    listing: Callable[[bool], None] = lambda _: None


class Reflector:
    """Keeps one kind of object fresh.

    Args:
        paths: of the collections to follow: one, or one a namespace.
        selector: of labels.
        fields: selector of one field for the watch; lists are whole.
    """

    def __init__(
        self,
        api: KubeApi,
        paths: Sequence[Path],
        target: Target,
        *,
        selector: str = "",
        fields: str = "",
    ) -> None:
        self._api = api
        self._paths = paths
        self._target = target
        self._selector = selector
        self._fields = fields
        self._versions: dict[Path, str] = {}
        self._moved: dict[Path, float] = {}

    async def list(self) -> None:
        """Read everything, and drop what is not there any more.

        Raises:
            KubeError: it could not be read.
        """
        self._target.listing(True)
        before = self._target.known()
        listed: set[str] = set()
        for path in self._paths:
            async for page in self._api.pages(path, selector=self._selector):
                for raw in page.items:
                    listed.add(raw["metadata"]["uid"])
                    self._take_in(raw)
                self._versions[path] = page.resource_version
                # A page is half a thousand objects: others get their turn between two.
                await asyncio.sleep(0)
        self._drop_all_but(listed, before)
        self._target.listing(False)

    async def compare(self) -> None:
        """Find what the watch missed: by versions alone, since most of it is known.

        Raises:
            KubeError: it could not be read.
        """
        before = self._target.known()
        listed: set[str] = set()
        for path in self._paths:
            pages = self._api.pages(path, selector=self._selector, only_metadata=True)
            async for page in pages:
                for raw in page.items:
                    metadata = raw["metadata"]
                    listed.add(metadata["uid"])
                    if self._target.version(metadata["uid"]) < int(metadata["resourceVersion"]):
                        await self._fetch(metadata)
                await asyncio.sleep(0)
        self._drop_all_but(listed, before)

    async def _fetch(self, metadata: Mapping[str, Any]) -> None:
        with suppress(errors.NotFoundError):
            self._take_in(await self._api.get(path_of(self._target.resource, metadata)))

    def _drop_all_but(self, listed: set[str], before: dict[str, RawObject]) -> None:
        for uid, raw in before.items():
            if uid not in listed:
                self._target.drop(raw)

    def still_seconds(self) -> float:
        """Return for how long the watch that is the stillest has shown no sign of life."""
        now = asyncio.get_running_loop().time()
        return now - min(self._moved.values(), default=now)

    async def run(self) -> None:
        """Watch for ever, from where ``list`` was."""
        async with asyncio.TaskGroup() as group:
            for path in self._paths:
                group.create_task(self._follow(path))

    async def _follow(self, path: Path) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            # The server ends each watch after some minutes, and silence ends it as well.
            self._moved[path] = loop.time()
            try:
                await self._watch(path)
                pause = _FIRST_PAUSE
                continue
            except errors.ExpiredError:
                logger.info("%s: the watch is too far behind, listing anew", path)
                self._versions.pop(path, None)
            except errors.KubeError as exc:
                logger.warning("%s: the watch ended: %s", path, exc)
            # Spread, so that all watches of a returning server do not come at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
            if path not in self._versions:
                try:
                    await self.list()
                except errors.KubeError as exc:
                    self._versions.pop(path, None)
                    logger.warning("%s cannot be listed: %s", path, exc)

    async def _watch(self, path: Path) -> None:
        version = self._versions.get(path)
        if version is None:
            raise errors.UnreachableError("it was not listed yet")
        async for event in self._api.watch(
            path,
            selector=self._selector,
            fields=self._fields,
            resource_version=version,
            seconds=_WATCH_SECONDS,
        ):
            if event.kind == "DELETED":
                if not self._fields:
                    self._take_in(event.raw)  # its last words
                # What no longer fits the field comes as it was, with the version that it has now.
                self._target.drop(event.raw)
            elif event.kind in ("ADDED", "MODIFIED"):
                self._take_in(event.raw)
            self._versions[path] = event.raw["metadata"]["resourceVersion"]

    def _take_in(self, raw: RawObject) -> None:
        try:
            self._target.put(raw)
        except Exception:
            # A border: one odd object must not keep all others from being seen.
            metadata = raw.get("metadata") or {}
            place = metadata.get("namespace") or "-", metadata.get("name")
            logger.exception("%s/%s cannot be taken in", *place)
