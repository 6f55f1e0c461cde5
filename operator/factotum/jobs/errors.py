"""Why the job service does not do what it was asked for.

::

    JobsError
    ├── SubmissionError            a submission is not accepted, in the order of its checks
    │   ├── DrainingError          the server takes no new jobs
    │   ├── EmptyFieldError        a field that must say something
    │   ├── FactfileMissingError   there is no such file
    │   ├── DryRunError            the runner would not run it
    │   ├── ArgumentsError         the arguments do not tell which job it is
    │   ├── UnreadableError        the factfile's job id cannot be computed
    │   ├── DuplicateJobError      a job of this id is queued or at work
    │   ├── QueueFullError
    │   └── RefusedByPolicyError   a rule of this server's forbids it
    ├── UnknownJobError            there is no such job, task or attempt
    ├── NotPossibleError           not with a job in this state
    ├── BadEntryError              a stored entry that is none
    └── BackendError               the backend cannot do it now; worth another try
        ├── BackendAwayError       whatever keeps the jobs does not answer
        └── NoRoomError            there is no room where the jobs are kept

``str(error)`` is a sentence for people. What a front door must know beside it
is in attributes.
"""

from typing import Any

from factotum.core.errors import FactotumError


class JobsError(FactotumError):
    """The job service does not do what it was asked for."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from one process to another as it is: not all are made of their text."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[JobsError], args: tuple[Any, ...], attributes: dict[str, Any]) -> JobsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class SubmissionError(JobsError):
    """A submission is not accepted as it is."""


class DrainingError(SubmissionError):
    """The server was told to take no new jobs."""

    def __init__(self) -> None:
        super().__init__("the server is draining: it takes no new jobs")


class EmptyFieldError(SubmissionError):
    """A field is empty.

    Attributes:
        field: ``name`` or ``factfile_path``.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} must not be empty")
        self.field = field


class FactfileMissingError(SubmissionError):
    """There is no file of this path.

    Attributes:
        path: as it was given.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"there is no factfile {path!r} on this server")
        self.path = path


class DryRunError(SubmissionError):
    """The runner would not run this.

    Attributes:
        command: the program and its arguments, joined by spaces.
        stderr: what it says on standard error; most of its reasons are not there.
        reason: what is wrong, in the runner's own words.
    """

    def __init__(self, command: str, stderr: str, reason: str) -> None:
        super().__init__(reason or stderr or "the runner refuses it without a word")
        self.command = command
        self.stderr = stderr
        self.reason = reason


class ArgumentsError(SubmissionError):
    """The arguments cannot be read, so that the job's tags are not known.

    Attributes:
        problem: in the words of the original's parser.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"the arguments cannot be read: {problem}")
        self.problem = problem


class UnreadableError(SubmissionError):
    """The factfile cannot be read, so that the job's id is not known; the text says why."""


class DuplicateJobError(SubmissionError):
    """A job of this id has not ended.

    Attributes:
        job_id: whose.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} is queued or at work already")
        self.job_id = job_id


class QueueFullError(SubmissionError):
    """As many jobs wait as may."""

    def __init__(self) -> None:
        super().__init__("as many jobs are waiting as may; try again once some have started")


class RefusedByPolicyError(SubmissionError):
    """This server is configured not to run such jobs."""


class UnknownJobError(JobsError):
    """There is no such job, or no such part of it."""


class NotPossibleError(JobsError):
    """The job's state does not allow it."""


class BadEntryError(JobsError):
    """What is stored under a job's key is no entry of Factotum Server's form."""


class BackendError(JobsError):
    """The backend cannot do it now; nothing was changed, or nobody knows."""


class BackendAwayError(BackendError):
    """Whatever keeps the jobs does not answer.

    Attributes:
        retry_seconds: after which it is worth another try.
    """

    retry_seconds = 5


class NoRoomError(BackendError):
    """There is no room where the jobs are kept: nothing of this one was, and room must be made."""
