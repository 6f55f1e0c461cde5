"""A store of entries in a dictionary, and what was asked of it."""

from collections.abc import Mapping

from factotum.persistence.consul import ABSENT, StoredValue
from factotum.persistence.errors import StoreConflictError


class MemoryStore:
    """Keys with revisions; a write must name the one that stands there.

    Attributes:
        asked: every request about a single key, in order.
    """

    def __init__(self) -> None:
        self.values: dict[str, StoredValue] = {}
        self.asked: list[tuple[str, str]] = []
        self._revision = 0

    async def get(self, path: str) -> StoredValue:
        self.asked.append(("get", path))
        return self.values.get(path, ABSENT)

    async def put(self, path: str, value: bytes, *, revision: int) -> int:
        self.asked.append(("put", path))
        if self.values.get(path, ABSENT).revision != revision:
            raise StoreConflictError(path)
        return self.write(path, value)

    async def entries(self, prefix: str) -> Mapping[str, StoredValue]:
        return {path: value for path, value in self.values.items() if path.startswith(prefix)}

    async def probe(self, path: str) -> int:
        del path
        return 1

    def write(self, path: str, value: bytes) -> int:
        """Write as somebody else does."""
        self._revision += 1
        self.values[path] = StoredValue(value, self._revision)
        return self._revision

    def close(self) -> None:
        """Have nothing to close."""
