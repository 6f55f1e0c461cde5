"""What an operator of the local backend may choose."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from factotum.core.words.reasons import Reason

DAY_MS: Final = 86_400_000
RECOVERED: Final = (Reason.LOST, Reason.INTERRUPTED)
"""How a run ends that its machine or somebody else broke off, not a task of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Settings of the local backend.

    Attributes:
        folder: the data folder.
        workers: jobs at once.
        max_waiting: jobs in the queue.
        resumes: whether a run that was broken off is taken up again by itself.
        log_bytes: of one task's output.
        keep_days: how long ended jobs and their output are kept; 0: for ever.
        program: the foreign runner; empty: our own.
    """

    folder: Path
    workers: int = 20
    max_waiting: int = 1000
    resumes: bool = False
    log_bytes: int = 16 * 1024 * 1024
    keep_days: float = 30.0
    program: str = ""
