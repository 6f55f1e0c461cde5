"""The closed sets of words for states and exit codes, spelled once.

Plain constants instead of enums: importing ``enum`` costs more than parsing a
factfile, and these words go into JSON as they are.
"""

from __future__ import annotations


class TaskState:
    """States of one task in a run."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_NO_OP = "SUCCEEDED_NO_OP"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"

    ALL = (WAITING, RUNNING, SUCCEEDED, SUCCEEDED_NO_OP, FAILED, SKIPPED)
    ENDED = (SUCCEEDED, SUCCEEDED_NO_OP, FAILED)


class RunState:
    """States of a whole run, as its events tell them; also a job's outcome."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    ALL = (WAITING, RUNNING, SUCCEEDED, FAILED)


class JobState:
    """States of a FactotumJob: Factotum Server's words."""

    QUEUED = "QUEUED"
    WORKING = "WORKING"
    DONE = "DONE"


class ExitCode:
    """What the process tells its caller."""

    SUCCESS = 0
    BAD_FACTFILE = 1
    TASK_FAILED = 2
    OTHER = 3
