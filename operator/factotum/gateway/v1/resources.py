"""The resources: what may be asked of jobs, and what each question is called."""

from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from factotum.gateway.doorkeeper import MAY_STAY
from factotum.gateway.drawing import pictures
from factotum.gateway.v1 import problems
from factotum.gateway.v1.graphs import Graphs, shape
from factotum.gateway.v1.lines import Lines
from factotum.gateway.v1.models import (
    KEY,
    Action,
    Checked,
    Detail,
    GraphShape,
    Job,
    Jobs,
    OrderResult,
    OrderResults,
    OrdersBody,
    Outcome,
    State,
    SubmissionBody,
)
from factotum.gateway.v1.server import ServerState
from factotum.gateway.v1.streams import Streams
from factotum.jobs.errors import EmptyFieldError, JobsError
from factotum.jobs.service import JobService
from factotum.jobs.views import JobQuery, JobView

router: Final = APIRouter(prefix="/v1", responses=problems.RESPONSES)
MAX_OFFSET: Final = 2**53
_EVENTS: Final = "text/event-stream"


class Parts:
    """What the resources are made of; one for each server."""

    def __init__(self, service: JobService, streams: Streams) -> None:
        self.service = service
        self.streams = streams
        self.graphs = Graphs()
        self.lines = Lines(service)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _may_stay(request: Request) -> Callable[[], Awaitable[bool]]:
    may_stay: Callable[[], Awaitable[bool]] = request.scope[MAY_STAY]
    return may_stay


Wired = Annotated[Parts, Depends(_parts)]
Stays = Annotated[Callable[[], Awaitable[bool]], Depends(_may_stay)]
Key = Annotated[str, Path(pattern=KEY, description="A job's key.")]
TaskIndex = Annotated[
    int | None, Query(ge=0, le=1_000_000, description="A task's index; none: the whole run.")
]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=1_000_000, description="An attempt; the newest by default.")
]
Offset = Annotated[
    int,
    Query(ge=-MAX_OFFSET, le=MAX_OFFSET, description="First byte; negative: from the end."),
]
_TO_JOB: Final[dict[str, Any]] = {
    name: {"operationId": operation, "parameters": {"key": "$response.body#/key"}}
    for name, operation in (
        ("job", "get_job"),
        ("graph", "get_graph"),
        ("log", "get_log"),
        ("cancel", "cancel_job"),
        ("suspend", "suspend_job"),
        ("resume", "resume_job"),
    )
}


@router.get("/server", operation_id="get_server", tags=["server"])
async def get_server(parts: Wired) -> ServerState:
    """Tell how the server is; waits for nothing."""
    return ServerState.of(parts.service)


@router.post(
    "/jobs",
    operation_id="submit_job",
    status_code=201,
    tags=["jobs"],
    responses={201: {"links": _TO_JOB, "headers": {"Location": {"schema": {"type": "string"}}}}},
)
async def submit_job(body: SubmissionBody, parts: Wired, response: Response) -> Job:
    """Check a job and put it into the queue; once this is answered it is not lost any more."""
    job = await parts.service.submit(_submission(body))
    response.headers["Location"] = f"/v1/jobs/{job.key}"
    return Job.of(job)


@router.post("/check", operation_id="check_job", tags=["jobs"])
async def check_job(body: SubmissionBody, parts: Wired) -> Checked:
    """Check a job as a submission does, and show what it would be; nothing is queued."""
    request = await parts.service.check(_submission(body))
    names = request.task_names
    drawn = await parts.graphs.draw(request.factfile, request.args, request.name, names)
    return Checked(
        job_id=request.job_id,
        name=request.name,
        tags=dict(request.tags),
        tasks=list(names),
        graph=shape(drawn),
    )


def _submission(body: SubmissionBody) -> Any:
    if body.factfile is None and body.factfile_path is None:
        raise EmptyFieldError("factfile")
    return body.submission()


@router.get("/jobs", operation_id="list_jobs", tags=["jobs"])
async def list_jobs(
    parts: Wired,
    state: Annotated[list[State] | None, Query(description="One of these.")] = None,
    outcome: Annotated[list[Outcome] | None, Query(description="One of these.")] = None,
    text: Annotated[
        str, Query(max_length=200, description="Part of name or path, or begin of the job id.")
    ] = "",
    tag: Annotated[
        str, Query(max_length=400, pattern="^([^=]+=.*)?$", description="A tag: name=value.")
    ] = "",
    cursor: Annotated[str, Query(max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Jobs:
    """List jobs, newest first."""
    name, _, value = tag.partition("=")
    sequence = parts.service.sequence()
    page = await parts.service.list(
        JobQuery(
            states=tuple(map(str, state or ())),
            outcomes=tuple(map(str, outcome or ())),
            text=text,
            tag=(name, value) if tag else None,
            cursor=cursor,
            limit=limit,
        )
    )
    return Jobs.of(page, sequence)


@router.get("/jobs/{key}", operation_id="get_job", tags=["jobs"])
async def get_job(key: Key, parts: Wired) -> Detail:
    """Show a job with its tasks and attempts."""
    return Detail.of(await parts.service.get(key))


@router.get(
    "/jobs/{key}/factfile",
    operation_id="get_factfile",
    tags=["jobs"],
    response_class=PlainTextResponse,
)
async def get_factfile(key: Key, parts: Wired) -> Response:
    """Return the factfile, exactly as it was checked."""
    return PlainTextResponse((await parts.service.get(key)).factfile)


async def _order(parts: Parts, key: str, action: Action) -> JobView:
    orders = {
        Action.RESUME: parts.service.resume,
        Action.SUSPEND: parts.service.suspend,
        Action.CANCEL: parts.service.cancel,
    }
    return await orders[action](key)


@router.post("/jobs/{key}/resume", operation_id="resume_job", tags=["orders"])
async def resume_job(key: Key, parts: Wired) -> Job:
    """Let a suspended job go on, a failed one have another attempt; what succeeded is kept."""
    return Job.of(await _order(parts, key, Action.RESUME))


@router.post("/jobs/{key}/suspend", operation_id="suspend_job", tags=["orders"])
async def suspend_job(key: Key, parts: Wired) -> Job:
    """Stop a job, or keep it from starting, until it is resumed."""
    return Job.of(await _order(parts, key, Action.SUSPEND))


@router.post("/jobs/{key}/cancel", operation_id="cancel_job", tags=["orders"])
async def cancel_job(key: Key, parts: Wired) -> Job:
    """Stop a job for good, or end it before its start."""
    return Job.of(await _order(parts, key, Action.CANCEL))


@router.post("/orders", operation_id="order_jobs", tags=["orders"])
async def order_jobs(body: OrdersBody, parts: Wired) -> OrderResults:
    """Give one order for several jobs; each has its own result."""
    results = []
    for key in dict.fromkeys(body.keys):
        try:
            job = await _order(parts, key, body.action)
        except JobsError as error:
            results.append(OrderResult(key=key, problem=problems.of_error(error)))
        else:
            results.append(OrderResult(key=key, job=Job.of(job)))
    return OrderResults(results=results)


class GraphForm(StrEnum):
    """Forms of a graph."""

    JSON = "json"
    DOT = "dot"
    SVG = "svg"


@router.get(
    "/jobs/{key}/graph",
    operation_id="get_graph",
    tags=["jobs"],
    response_model=GraphShape,
    responses={
        200: {
            "content": {
                "image/svg+xml": {"schema": {"type": "string"}},
                "text/vnd.graphviz": {"schema": {"type": "string"}},
            }
        }
    },
)
async def get_graph(
    key: Key, parts: Wired, form: Annotated[GraphForm, Query(alias="format")] = GraphForm.JSON
) -> Any:
    """Return a job's graph: laid out in JSON, or as a picture with the tasks' present states."""
    detail = await parts.service.get(key)
    drawn = await parts.graphs.of_job(detail)
    states = [task.state for task in detail.tasks]
    if form == GraphForm.SVG:
        return Response(pictures.to_svg(*drawn, states), media_type="image/svg+xml")
    if form == GraphForm.DOT:
        return Response(pictures.to_dot(drawn[0], states), media_type="text/vnd.graphviz")
    return shape(drawn)


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Answer with events as they come."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type=_EVENTS)


STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_EVENTS: {"schema": {"type": "string"}}}, "description": "Events"}
}
LastEvent = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=2**62, description="Go on behind this event."),
]


@router.get(
    "/events",
    operation_id="watch_jobs",
    tags=["events"],
    response_class=StreamingResponse,
    responses=STREAMED,
)
async def watch_jobs(parts: Wired, may_stay: Stays, last_event_id: LastEvent = None) -> Response:
    """Tell of each job after each change: `ready`, `job`, and `reset` for who missed many."""
    parts.streams.check_room()
    return stream(parts.streams.given(parts.streams.all_jobs(last_event_id), may_stay))


@router.get(
    "/jobs/{key}/events",
    operation_id="watch_job",
    tags=["events"],
    response_class=StreamingResponse,
    responses=STREAMED,
)
async def watch_job(key: Key, parts: Wired, may_stay: Stays) -> Response:
    """Tell of one job: how it is with all tasks, then each change with the tasks it changed."""
    parts.streams.check_room()
    await parts.service.get(key)
    return stream(parts.streams.given(parts.streams.one_job(key), may_stay))
