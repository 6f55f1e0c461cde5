"""What v1 takes and shows: the service's values as JSON, names in camelCase, times in RFC 3339."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState, TaskState
from factotum.gateway.v1.problems import Problem
from factotum.jobs.views import (
    AttemptView,
    JobDetail,
    JobPage,
    JobView,
    Order,
    Submission,
    TaskView,
    Webhook,
)

_MAX_WORDS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """States of a job: Factotum Server's words."""

    QUEUED = JobState.QUEUED
    WORKING = JobState.WORKING
    DONE = JobState.DONE


class Outcome(StrEnum):
    """How a job's run ended, or that it has not."""

    WAITING = RunState.WAITING
    RUNNING = RunState.RUNNING
    SUCCEEDED = RunState.SUCCEEDED
    FAILED = RunState.FAILED


class TaskWord(StrEnum):
    """States of a task."""

    WAITING = TaskState.WAITING
    RUNNING = TaskState.RUNNING
    SUCCEEDED = TaskState.SUCCEEDED
    SUCCEEDED_NO_OP = TaskState.SUCCEEDED_NO_OP
    FAILED = TaskState.FAILED
    SKIPPED = TaskState.SKIPPED


class Action(StrEnum):
    """What may be asked of a job."""

    RESUME = "resume"
    SUSPEND = "suspend"
    CANCEL = "cancel"


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate) is in it") from None
    return text


Word = Annotated[str, Field(pattern=r"^[^\x00]*$"), AfterValidator(_whole)]
"""Text that a process can be given."""
KEY: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"
_EXAMPLE: Final[dict[str, Any]] = {
    "factfile": {
        "schema": "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0",
        "data": {
            "name": "Say hello",
            "tasks": [
                {
                    "name": "hello",
                    "executor": "shell",
                    "command": "echo",
                    "arguments": ["hello, world"],
                    "dependsOn": [],
                    "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]},
                }
            ],
        },
    },
    "args": ["--tag", "region,eu-west-1"],
}


class Value(BaseModel):
    """Whatever is taken or shown."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True
    )


class WebhookBody(Value):
    """Where this job's events go, in place of the server's own."""

    url: Annotated[Word, Field(min_length=1, max_length=2000)]
    max_stdouterr_size: Annotated[int, Field(ge=0, le=2**31)] | None = None
    heartbeat_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None


class SubmissionBody(Value):
    """A job to run: a factfile's text or its path on the server, and how to run it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[Word, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="A label for people; the factfile's own name by default."
    )
    factfile: Annotated[str, Field(max_length=8_000_000)] | dict[str, Any] | None = Field(
        default=None, description="The factfile: its text, or the document itself."
    )
    factfile_path: Annotated[Word, Field(min_length=1, max_length=4096)] | None = Field(
        default=None, description="Or where it lies on the server, from its working folder."
    )
    args: Annotated[list[Word], Field(max_length=_MAX_WORDS)] = Field(
        default_factory=list, description="Options of `factotum run`, one word each."
    )
    webhook: WebhookBody | None = None

    def submission(self) -> Submission:
        """Return it as the service takes it."""
        text = self.factfile
        if text is not None and not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False)
        webhook = self.webhook
        return Submission(
            name=self.name or _name_in(self.factfile) or _stem(self.factfile_path) or "inline",
            factfile=text,
            factfile_path="" if text is not None else self.factfile_path or "",
            args=tuple(self.args),
            webhook=None
            if webhook is None
            else Webhook(
                url=webhook.url,
                max_stdouterr_size=webhook.max_stdouterr_size,
                heartbeat_seconds=webhook.heartbeat_seconds,
            ),
        )


def _stem(path: str | None) -> str:
    """Return what a path's last part is called."""
    return PurePosixPath(path).stem[:256] if path else ""


def _name_in(factfile: str | dict[str, Any] | None) -> str:
    """Return the name that a factfile gives itself, if it is one."""
    document: Any = factfile
    if isinstance(factfile, str):
        try:
            document = json.loads(factfile)
        except (ValueError, RecursionError):
            return ""
    data = document.get("data") if isinstance(document, dict) else None
    name = data.get("name") if isinstance(data, dict) else None
    return name[:256] if isinstance(name, str) else ""


class TaskCounts(Value):
    """How far a job's newest attempt is."""

    total: int
    done: int
    failed: int


class Job(Value):
    """A job as a list shows it."""

    key: str = Field(description="Names this submission in paths; never given out again.")
    job_id: str = Field(description="Factotum Server's: of what runs, not of this submission.")
    name: str
    factfile_path: str
    state: State
    outcome: Outcome
    reason: str = Field(description="Why it is in its state: a word of reasons.md.")
    message: str
    order: Order
    attempt: int
    tags: dict[str, str]
    tasks: TaskCounts
    position: int | None = Field(description="Its place in the queue, from 1.")
    submitted_at: str
    started_at: str | None
    ended_at: str | None
    sequence: int = Field(description="Of its last change: grows over all jobs.")
    actions: list[Action] = Field(description="What its state allows.")

    @classmethod
    def of(cls, job: JobView) -> "Job":
        """Show a job."""
        return cls(
            key=job.key,
            job_id=job.job_id,
            name=job.name,
            factfile_path=job.factfile_path,
            state=State(job.state),
            outcome=Outcome(job.outcome),
            reason=job.reason,
            message=job.message,
            order=job.order,
            attempt=job.attempt,
            tags=dict(job.tags),
            tasks=TaskCounts(total=job.tasks_total, done=job.tasks_done, failed=job.tasks_failed),
            position=job.position,
            submitted_at=moment(job.submitted_ms) or "",
            started_at=moment(job.started_ms),
            ended_at=moment(job.ended_ms),
            sequence=job.sequence,
            actions=actions(job),
        )


def actions(job: JobView) -> list[Action]:
    """Return what a job's state allows; whether it still does is decided when it is asked for."""
    if job.state == JobState.DONE:
        return [Action.RESUME] if job.outcome == RunState.FAILED else []
    if job.reason == Reason.SUSPENDED:
        return [Action.RESUME, Action.CANCEL]
    return [Action.SUSPEND, Action.CANCEL]


def moment(milliseconds: int | None) -> str | None:
    """Write a time as RFC 3339 has it, in UTC."""
    if milliseconds is None:
        return None
    when = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


class Task(Value):
    """A task of a job's newest attempt."""

    index: int = Field(description="Its place in level order; names its log.")
    name: str
    state: TaskWord
    started_at: str | None
    seconds: float | None
    return_code: int | None
    error: str

    @classmethod
    def of(cls, index: int, task: TaskView) -> "Task":
        """Show a task."""
        return cls(
            index=index,
            name=task.name,
            state=TaskWord(task.state),
            started_at=moment(task.started_ms),
            seconds=task.seconds,
            return_code=task.return_code,
            error=task.error,
        )


class Attempt(Value):
    """One attempt to run a job."""

    number: int
    reason: str
    message: str
    started_at: str | None
    ended_at: str | None

    @classmethod
    def of(cls, attempt: AttemptView) -> "Attempt":
        """Show an attempt."""
        return cls(
            number=attempt.number,
            reason=attempt.reason,
            message=attempt.message,
            started_at=moment(attempt.started_ms),
            ended_at=moment(attempt.ended_ms),
        )


class Detail(Value):
    """A job with its tasks and attempts."""

    job: Job
    args: list[str]
    tasks: list[Task]
    attempts: list[Attempt]
    task_logs: bool = Field(
        description="Whether each task has a log of its own. If not, there is the run's alone,"
        " in which a task's lines begin with its name in brackets."
    )

    @classmethod
    def of(cls, detail: JobDetail) -> "Detail":
        """Show all that is known of a job."""
        return cls(
            job=Job.of(detail.job),
            args=list(detail.args),
            tasks=[Task.of(index, task) for index, task in enumerate(detail.tasks)],
            attempts=[Attempt.of(attempt) for attempt in detail.attempts],
            task_logs=detail.task_logs,
        )


class Jobs(Value):
    """A page of a list."""

    jobs: list[Job]
    cursor: str = Field(description="Asks for the next page; empty: this is the last one.")
    total: int = Field(description="Jobs in all; not counted beyond 1,001.")
    sequence: int = Field(description="What /v1/events has told until now, at least.")

    @classmethod
    def of(cls, page: JobPage, sequence: int) -> "Jobs":
        """Show a page."""
        return cls(
            jobs=[Job.of(job) for job in page.jobs],
            cursor=page.cursor,
            total=page.total,
            sequence=sequence,
        )


class BoxShape(Value):
    """A box of the graph: one task, or several that hang together with the same others."""

    tasks: list[int] = Field(description="Places of its tasks in level order.")
    level: int
    parents: list[int] = Field(description="Boxes that it waits for.")
    x: float
    y: float
    width: float
    height: float
    columns: int = Field(description="Tiles in a row; 0: a single task.")


class GraphShape(Value):
    """A job's graph, laid out: levels from left to right."""

    name: str
    names: list[str]
    boxes: list[BoxShape]
    width: float
    height: float


class Checked(Value):
    """What a submission would become."""

    job_id: str
    name: str
    tags: dict[str, str]
    tasks: list[str]
    graph: GraphShape


class OrdersBody(Value):
    """One order for several jobs."""

    action: Annotated[Action, Field(strict=False)]
    keys: Annotated[list[Annotated[str, Field(pattern=KEY)]], Field(min_length=1, max_length=500)]


class OrderResult(Value):
    """What became of an order for one job."""

    key: str
    job: Job | None = None
    problem: Problem | None = None


class OrderResults(Value):
    """What became of each, in the order of the keys."""

    results: list[OrderResult]
