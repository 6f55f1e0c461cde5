"""An API server in a few dictionaries: the other implementation of ``KubeApi``.

For trying the controller out without a cluster. Resource versions, UIDs,
preconditions, merge patches and watches are as the real one's; schemas,
admission and garbage collection it has not.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from factotum.kube import errors
from factotum.kube.api import Page, RawObject, WatchEvent
from factotum.kube.paths import Path


class Request(NamedTuple):
    """A request that was made."""

    method: str
    path: str
    body: Any = None


class _Change(NamedTuple):
    version: int
    place: str
    kind: str
    raw: RawObject
    before: RawObject | None

    def as_seen(self, selector: str, fields: str = "") -> WatchEvent | None:
        """Return what a watch tells of it: what does not fit its selectors is not there."""

        def is_there(raw: RawObject) -> bool:
            return _fits(raw, selector) and _has(raw, fields)

        fits = is_there(self.raw)
        fitted = self.before is not None and is_there(self.before)
        if self.kind == "DELETED":
            kind = "DELETED" if fitted else ""
        elif fits:
            kind = "MODIFIED" if fitted else "ADDED"
        else:
            kind = "DELETED" if fitted else ""
        raw = copy.deepcopy(self.raw)
        if kind == "DELETED" and self.before is not None:
            # As it was when it fitted, but for the version.
            version = raw["metadata"]["resourceVersion"]
            raw = copy.deepcopy(self.before)
            raw["metadata"]["resourceVersion"] = version
        return WatchEvent(kind, raw) if kind else None


class MemoryApi:
    """Objects by their paths.

    Attributes:
        requests: every request so far, in order.
        on_request: called before each; what it raises is the request's answer.
        logs: what Pods' containers have printed, by the Pods' paths.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.on_request: Callable[[Request], None] = lambda _: None
        self.logs: dict[str, bytes] = {}
        self._objects: dict[str, RawObject] = {}
        self._events: list[_Change] = []
        self._changed = asyncio.Event()
        self._version = 0

    def put(self, path: Path, raw: Mapping[str, Any]) -> RawObject:
        """Store an object at its path, as somebody else would, and tell of it."""
        kind = "MODIFIED" if path in self._objects else "ADDED"
        self._version += 1
        stored = copy.deepcopy(dict(raw))
        stored["metadata"] |= {"resourceVersion": str(self._version)}
        stored["metadata"].setdefault("uid", f"uid-{self._version}")
        before = self._objects.get(path)
        self._objects[path] = stored
        self._tell(kind, path, stored, before)
        return copy.deepcopy(stored)

    def remove(self, path: Path) -> None:
        """Remove an object and tell of it."""
        stored = self._objects.pop(path)
        self._version += 1
        last = copy.deepcopy(stored)
        last["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", path, last, stored)

    def stored(self, path: Path) -> RawObject | None:
        """Return what is stored at a path, without a request."""
        return copy.deepcopy(self._objects.get(path))

    def _tell(self, kind: str, path: str, raw: RawObject, before: RawObject | None) -> None:
        self._events.append(_Change(self._version, path, kind, copy.deepcopy(raw), before))
        self._changed.set()
        self._changed = asyncio.Event()

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        request = Request(method, path, copy.deepcopy(body))
        self.requests.append(request)
        self.on_request(request)

    def _found(self, path: str) -> RawObject:
        stored = self._objects.get(path)
        if stored is None:
            raise errors.from_status(404, "NotFound", "there is no such object")
        return stored

    # --- KubeApi ----------------------------------------------------------------------

    async def get(self, path: Path) -> RawObject:
        """Read one object."""
        self._ask("GET", path)
        return copy.deepcopy(self._found(path))

    async def pages(
        self, path: Path, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        """Read a whole list, as one page; the selector is one label's name, maybe with a value."""
        self._ask("LIST", path)
        items = [
            copy.deepcopy({"metadata": raw["metadata"]} if only_metadata else raw)
            for place, raw in self._objects.items()
            if _is_in(place, path) and _fits(raw, selector)
        ]
        yield Page(items, str(self._version))

    async def watch(
        self,
        path: Path,
        *,
        selector: str = "",
        fields: str = "",
        resource_version: str,
        seconds: int,
    ) -> AsyncIterator[WatchEvent]:
        """Watch a list from a version on; ends when its time is over.

        What stops to fit the selectors is told as DELETED.
        """
        self._ask("WATCH", path)
        seen = int(resource_version)
        end = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self._changed
            for change in self._events:
                if change.version <= seen or not _is_in(change.place, path):
                    continue
                seen = change.version
                event = change.as_seen(selector, fields)
                if event is not None:
                    yield event
            try:
                async with asyncio.timeout_at(end):
                    await changed.wait()
            except TimeoutError:
                return

    async def create(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Create an object."""
        self._ask("POST", path, body)
        raw = copy.deepcopy(dict(body))
        metadata = raw.setdefault("metadata", {})
        metadata.setdefault("name", f"{metadata.get('generateName', '')}{self._version}")
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata.setdefault("creationTimestamp", moment)
        place = Path(f"{path}/{metadata['name']}")
        if place in self._objects:
            raise errors.from_status(409, "AlreadyExists", "an object of that name exists")
        return self.put(place, raw)

    async def replace(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Write a whole object over one of the same resource version."""
        self._ask("PUT", path, body)
        version = body["metadata"].get("resourceVersion")
        if self._found(path)["metadata"]["resourceVersion"] != version:
            raise errors.from_status(409, "Conflict", "the object changed")
        return self.put(path, body)

    async def delete(self, path: Path, *, uid: str, resource_version: str = "") -> None:
        """Delete an object at once."""
        self._ask("DELETE", path, {"preconditions": {"uid": uid}})
        metadata = self._found(path)["metadata"]
        if metadata["uid"] != uid:
            raise errors.from_status(409, "Conflict", "the UID is another")
        if resource_version not in ("", metadata["resourceVersion"]):
            raise errors.from_status(409, "Conflict", "the object changed")
        self.remove(path)

    async def merge(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Merge into an object."""
        self._ask("PATCH", path, body)
        stored = self._found(path)
        named = (body.get("metadata") or {}).get("resourceVersion")
        if named not in (None, stored["metadata"]["resourceVersion"]):
            raise errors.from_status(409, "Conflict", "the object changed")
        return self.put(path, merge(stored, body))

    async def patch_status(
        self, path: Path, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into a status."""
        self._ask("PATCH", path, status)
        stored = self._found(path)
        if stored["metadata"]["resourceVersion"] != resource_version:
            raise errors.from_status(409, "Conflict", "the object changed")
        return self.put(path, stored | {"status": merge(stored.get("status") or {}, status)})

    # --- PodLogs ----------------------------------------------------------------------

    async def log(self, path: Path) -> AsyncIterator[bytes]:
        """Read what a Pod's container has printed; it is over."""
        self._ask("GET", path)
        place = path.partition("?")[0].removesuffix("/log")
        self._found(place)
        if place not in self.logs:
            raise errors.from_status(400, "BadRequest", "the container has not begun")
        yield self.logs[place]


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> RawObject:
    """Apply a JSON merge patch (RFC 7396)."""
    merged = copy.deepcopy(dict(target))
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _is_in(place: str, path: str) -> bool:
    """Whether an object's path belongs to a collection, that of all namespaces included."""
    folder = place.rpartition("/")[0]
    if folder == path:
        return True
    root, _, plural = path.rpartition("/")
    head, _, rest = folder.partition("/namespaces/")
    return head == root and rest.partition("/")[2] == plural


def _has(raw: RawObject, fields: str) -> bool:
    """Whether an object has the field ``a.b=c``, or not that of ``a.b!=c``; any has none."""
    path, _, wanted = fields.partition("=")
    differs = path.endswith("!")
    path = path.removesuffix("!")
    value: Any = raw
    for name in path.split(".") if path else ():
        value = value.get(name, "") if isinstance(value, dict) else ""
    return not path or (value == wanted) is not differs


def _fits(raw: RawObject, selector: str) -> bool:
    name, equals, value = selector.partition("=")
    labels = raw["metadata"].get("labels") or {}
    return not selector or (labels.get(name) == value if equals else name in labels)
