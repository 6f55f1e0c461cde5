"""How far the run is, in the form that reports and termination messages use.

Kept up to date task by task, so that telling of one change never costs a walk
over all tasks. Written by the runner's loop only; ``snapshot`` may be called
from the reporter's thread.
"""

from __future__ import annotations

from factotum.core.jsontext import quote
from factotum.core.wire import reports, termination
from factotum.core.wire.reports import Report
from factotum.core.words.states import TaskState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from factotum.core.run.execution import TaskRun

_ERROR_LIMIT = 500
_ERRORS_BYTES = 100_000


class Progress:
    """The tasks' states, by their place in level order."""

    def __init__(
        self, claim_id: str, factfile_hash: str, names: Sequence[str], references: tuple[str, str]
    ) -> None:
        self._claim_id = claim_id
        self._factfile_hash = factfile_hash
        self._references = references
        self._index = {name: index for index, name in enumerate(names)}
        self._letters = bytearray(b"W" * len(names))
        self._codes: dict[int, int] = {}
        self._bad_codes: dict[int, int] = {}
        self._started: dict[int, int] = {}
        self._seconds: dict[int, float] = {}
        self._errors: dict[int, str] = {}
        self._errors_room = _ERRORS_BYTES
        self.sequence = 0
        self.final = False
        self.interrupted = 0
        self._has_begun = False

    @property
    def is_untouched(self) -> bool:
        """Whether there are tasks to run and none was ever started."""
        return b"W" in self._letters and not self._has_begun

    def take_over(self, runs: Iterable[TaskRun]) -> None:
        """Know of the results that the run begins with, and of what is skipped because of them."""
        for run in runs:
            if run.state == TaskState.WAITING:
                continue
            if run.started_at_ns is not None:
                self._started[run.index] = run.started_at_ns // 1_000_000
            self.ended(run.name, run.state, run.return_code, run.duration_ns, run.error_message)

    def started(self, name: str, epoch_ns: int) -> None:
        """A task was started."""
        index = self._index[name]
        self._letters[index] = ord("R")
        self._has_begun = True
        self._started[index] = epoch_ns // 1_000_000

    def ended(
        self, name: str, state: str, code: int | None, duration_ns: int | None, error: str | None
    ) -> None:
        """A task ended, or will not run."""
        index = self._index[name]
        self._letters[index] = ord(reports.STATE_LETTERS[state])
        if code is not None:
            self._codes[index] = code
            if code != 0:
                self._bad_codes[index] = code
        if duration_ns is not None:
            self._seconds[index] = round(duration_ns / 1e9, 3)
        if error:
            # Room for each task's reason, but not for a megabyte of them.
            text = error[:_ERROR_LIMIT]
            self._errors_room -= len(quote(text).encode("utf-8", "replace")) + 12
            if self._errors_room > 0:
                self._errors[index] = text

    def refuse(self, problem: str) -> None:
        """Nothing will be run, for a reason that no other Pod would change."""
        self.final = True
        self.sequence += 1
        first = self._letters.find(b"W")
        if first >= 0:
            self._errors[first] = problem[:_ERROR_LIMIT]
        else:
            # Without a task that could be seen not to have run, this says it.
            self.interrupted = 1

    def snapshot(self) -> Report:
        """Return the run as it is now."""
        return Report(
            claim_id=self._claim_id,
            sequence=self.sequence,
            final=self.final,
            interrupted=self.interrupted,
            states=self._letters.decode(),
            codes=dict(self._codes),
            started=dict(self._started),
            seconds=dict(self._seconds),
            errors=dict(self._errors),
            job_reference=self._references[0],
            run_reference=self._references[1],
        )

    def termination_message(self) -> bytes:
        """Return the run as the Pod itself keeps it."""
        return termination.encode(
            claim_id=self._claim_id,
            factfile_hash=self._factfile_hash,
            sequence=self.sequence,
            final=self.final,
            interrupted=self.interrupted,
            states=self._letters.decode(),
            codes=self._bad_codes,
        )
