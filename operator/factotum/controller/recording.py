"""What the rooms tell of their own work, to whoever keeps the figures; and one that keeps none.

Only what cannot be seen from outside is told here. What jobs do, the keeper
hears from the cache; requests are counted where they pass.
"""

from typing import Final, Protocol


class Recorder(Protocol):
    """Keeps figures. No call waits or fails."""

    def looked(self, seconds: float, failure: str) -> None:
        """Count a look at a job; ``failure`` is empty, ``api`` or ``internal``."""

    def told(self, answer: str) -> None:
        """Count an Event: ``created``, ``counted``, ``dropped`` or ``failed``."""

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001 - a plain fact
        """Note whether this operator is the one that acts."""


class NoRecorder:
    """Keeps nothing."""

    def looked(self, seconds: float, failure: str) -> None:
        """Forget it."""

    def told(self, answer: str) -> None:
        """Forget it."""

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001 - Recorder
        """Forget it."""


NO_RECORDER: Final = NoRecorder()
