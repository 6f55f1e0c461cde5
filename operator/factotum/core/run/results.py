"""Results that one run takes over from an earlier one."""

from __future__ import annotations

from factotum.core.words.states import TaskState


class KeptResult:
    """The good result of a task in an earlier run, taken over by this one."""

    __slots__ = ("duration_ns", "return_code", "started_at_ns", "state")

    def __init__(
        self,
        return_code: int,
        started_at_ns: int | None = None,
        duration_ns: int | None = None,
        *,
        state: str = TaskState.SUCCEEDED,
    ) -> None:
        self.state = state
        self.return_code = return_code
        self.started_at_ns = started_at_ns
        self.duration_ns = duration_ns
