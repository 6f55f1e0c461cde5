"""What front doors ask of the job service and what they are shown: values, and nothing behind them.

States and outcomes are Factotum Server's words (``core.words.states``), reasons
those of ``core.words.reasons``, on every backend. Times are milliseconds since
the epoch, UTC; durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from factotum.core.words.states import TaskState

MAX_PAGE: Final = 500
"""Jobs of one page of a list, at most."""
MAX_COUNT: Final = 1001
"""How far the jobs of a list are counted."""
MAX_LOG_PIECE: Final = 4 * 1024 * 1024
"""Bytes of one piece of a log, at most."""
OVER: Final = (*TaskState.ENDED, TaskState.SKIPPED)
"""States of tasks that will not change any more, as long as the attempt lasts."""


class Order(StrEnum):
    """What a job's user wants of it."""

    RUN = "Run"
    SUSPEND = "Suspend"
    CANCEL = "Cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a job's events go.

    Attributes:
        url: the consumer's address.
        max_stdouterr_size: characters of a task's output in an event; None: the runner's default.
        heartbeat_seconds: how often running tasks are told of; None: never.
    """

    url: str
    max_stdouterr_size: int | None = None
    heartbeat_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What somebody asks for, as it came: nothing in it is checked.

    Attributes:
        name: a label for people.
        factfile: the factfile's text; None: it is read from ``factfile_path``.
        factfile_path: a path on the server's machine, relative to its working folder.
        args: options of ``factotum run``, one word each.
        webhook: the caller's own; it takes the place of the server's.
    """

    name: str
    factfile: str | None = None
    factfile_path: str = ""
    args: tuple[str, ...] = ()
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the words of a command line mean for a run."""

    start: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    eager: bool = False
    max_parallel: int | None = None
    no_colour: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """An accepted submission: what a backend is given, checked once and for all.

    Attributes:
        job_id: Factotum Server's; two jobs that share it never run together.
        name: the label.
        factfile: its text, exactly as it was checked.
        factfile_path: as it was given; ``inline`` if the text came with the request.
        args: all words after the factfile, those that the server appends included.
        options: what they mean; None if only the program knows that runs them.
        task_names: the tasks' names in level order, after templating; empty likewise.
    """

    job_id: str
    name: str
    factfile: str
    factfile_path: str
    args: tuple[str, ...]
    options: RunOptions | None
    task_names: tuple[str, ...] = ()

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the run, as far as they are known."""
        return {} if self.options is None else self.options.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as a list shows it.

    Attributes:
        key: the backend's name of this submission: unique, never given out again, safe in
            a URL. The same job id may come back under another key once it is done.
        tasks_total: tasks of the newest attempt.
        tasks_done: those of them that will not change any more (``OVER``): also those that have
            failed, and those that are skipped for it.
        tasks_failed: those that have failed.
        position: its place in the queue, from 1; None: it does not wait.
        sequence: of its last change; grows over all jobs, also over restarts.
    """

    key: str
    job_id: str
    name: str
    factfile_path: str
    state: str
    outcome: str
    reason: str
    message: str
    order: Order
    attempt: int
    tags: Mapping[str, str]
    tasks_total: int
    tasks_done: int
    tasks_failed: int
    position: int | None
    submitted_ms: int
    started_ms: int | None
    ended_ms: int | None
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task of a job's newest attempt; ``state`` is one of ``words.states.TaskState``."""

    name: str
    state: str
    started_ms: int | None = None
    seconds: float | None = None
    return_code: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt to run a job; ``reason`` is empty while it lasts."""

    number: int
    reason: str
    message: str
    started_ms: int | None
    ended_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetail:
    """A job with all that is known of it; tasks are in level order.

    Attributes:
        task_logs: whether each task has a log of its own (``LogQuery.task``); if not, a run has
            one for all, in which a task's lines begin with its name in brackets.
    """

    job: JobView
    args: tuple[str, ...]
    factfile: str
    tasks: tuple[TaskView, ...]
    attempts: tuple[AttemptView, ...]
    task_logs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list, newest first; an empty condition holds for all.

    Attributes:
        states: one of these.
        outcomes: one of these.
        text: part of the name or of the factfile's path, or the beginning of the job id;
            letters of either case.
        tag: a tag's name and its value.
        cursor: where the page before ended (``JobPage.cursor``).
        limit: at most so many, 1 to ``MAX_PAGE``.
    """

    states: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    text: str = ""
    tag: tuple[str, str] | None = None
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """A page of a list.

    Attributes:
        cursor: asks for the next page; empty: this is the last one.
        total: how many jobs there are in all, counted up to ``MAX_COUNT``.
    """

    jobs: tuple[JobView, ...]
    cursor: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A job as it is after a change. Changes in between may be left out, the last never is.

    Attributes:
        sequence: say it to ``watch`` to go on from here.
        tasks: of a single watched job; empty when all jobs are watched.
    """

    sequence: int
    job: JobView
    tasks: tuple[TaskView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which part of a log.

    Attributes:
        task: a task's place in level order; None: the whole run's log.
        attempt: None: the newest.
        offset: of the first byte; a negative one counts from the end.
        limit: at most so many bytes, and no more than ``MAX_LOG_PIECE``.
    """

    task: int | None = None
    attempt: int | None = None
    offset: int = 0
    limit: int = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """Bytes of a log; UTF-8, though a piece may begin and end within a character.

    Attributes:
        offset: where ``data`` begins.
        size: of the whole log as it is now.
        complete: whether nothing more will be written.
        dropped: how many bytes were left out in the middle since the log grew too large.
        missing: why what was printed is not there any more, as a sentence; empty: it is there.
    """

    data: bytes
    offset: int
    size: int
    complete: bool
    dropped: int = 0
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """A job that waits for its box, which is gone, since the box asked cannot run it.

    Attributes:
        host: the machine of its box.
        why: what is in the way of its being run here, as a sentence.
    """

    job_id: str
    name: str
    host: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a backend is.

    Attributes:
        workers: how many jobs may run at once.
        active: how many do.
        waiting: jobs in the queue.
        max_waiting: how many may wait.
    """

    workers: int
    active: int
    waiting: int
    max_waiting: int
