"""Who asked the API server for what: counts that no other work on the machine changes."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

_WRITES = ("create", "update", "patch", "delete")
_NOT_STORED = ("tokenreviews", "serviceaccounts/token")
READS = "reads"
"""What is only asked: GETs, lists, and reviews of tokens."""


class Audit:
    """Requests to the API server from a moment on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def count(self, namespace: str) -> Counter[str]:
        """Count writes in a namespace by whose they are, and all that is only asked."""
        found: Counter[str] = Counter()
        for event in self._events():
            target = event.get("objectRef") or {}
            what = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
            ours = target.get("namespace") == namespace
            if event["verb"] in _WRITES and what not in _NOT_STORED:
                if ours and event["responseStatus"]["code"] < 300:
                    found[_client(event)] += 1
            elif event["verb"] != "watch" and (ours or what == "tokenreviews"):
                found[READS] += 1
        return found

    def _events(self) -> Iterator[dict[str, Any]]:
        yield from map(json.loads, self._file)
        if os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino:  # it was rotated
            with self._path.open("rb") as fresh:
                yield from map(json.loads, fresh)


def _client(event: dict[str, Any]) -> str:
    """Give who sent a request: a service account's or a component's short name."""
    name = str(event["user"]["username"]).rpartition(":")[2]
    short = name.removeprefix("kube-").removeprefix("factotum-")
    return "test node" if short == "admin" and event["verb"] == "patch" else short
