"""Storages that keep kopf from remembering: nothing of its work is ever needed.

For handlers of changes kopf copies each object at each event, to compare it
with what it wrote into an annotation the last time. Ours only look again, and
copying a factfile of two thousand tasks at each report would be most of the
controller's work.
"""

from collections.abc import Iterable
from typing import Any

import kopf


class NoDiffBase(kopf.DiffBaseStorage):
    """Sees nothing of an object, and writes nothing to it."""

    def build(
        self,
        *,
        body: kopf.Body,  # noqa: ARG002 - kopf's interface
        extra_fields: Iterable[Any] | None = None,  # noqa: ARG002 - kopf's interface
    ) -> kopf.BodyEssence:
        """Return that an object has nothing worth comparing."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's interface
        """Return that nothing was kept."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing."""


class NoProgress(kopf.ProgressStorage):
    """Keeps no state of handlers: ``on.event`` has none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        """Return that nothing was kept."""

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Keep nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """There is nothing to remove."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Leave the object alone."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return the essence as it is, without the copy."""
        return essence
