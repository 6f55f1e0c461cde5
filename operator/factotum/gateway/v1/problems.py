"""What goes wrong, as RFC 9457 has it: what, where, and what helps."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from factotum.gateway.doorkeeper import Refusal
from factotum.jobs import errors

MEDIA_TYPE: Final = "application/problem+json"
_PLACE: Final = re.compile(r"at line (\d+), column (\d+)")
_LATER: Final = "5"
"""Seconds after which another try is worth it."""


class Place(BaseModel):
    """Where in the factfile's text."""

    line: int
    column: int


class Problem(BaseModel):
    """What every refusal says (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Which kind it is; `urn:factotum:problem:...`, never changed.")
    title: str = Field(description="The kind in words.")
    status: int
    detail: str = Field(description="What happened this time.")
    cure: str = Field(default="", description="What helps.")
    pointer: str | None = Field(
        default=None, description="Which part of the request, as a JSON Pointer or a name."
    )
    place: Place | None = None
    violations: list[str] | None = Field(
        default=None, description="All that is wrong with it, one by one."
    )


class _Kind:
    __slots__ = ("cure", "name", "status", "title")

    def __init__(self, status: int, name: str, title: str, cure: str) -> None:
        self.status = status
        self.name = name
        self.title = title
        self.cure = cure


_JOBS: Final[Mapping[type[errors.JobsError], _Kind]] = {
    errors.DrainingError: _Kind(
        503,
        "draining",
        "The server takes no new jobs",
        'Let it run again (POST /settings {"state": "run"}), or send the job to another one.',
    ),
    errors.EmptyFieldError: _Kind(
        422, "empty-field", "A field says nothing", "Give it a value, or leave it out."
    ),
    errors.FactfileMissingError: _Kind(
        422,
        "factfile-missing",
        "There is no such factfile on the server",
        "Paths are the server's, from its working folder; or send the text as `factfile`.",
    ),
    errors.DryRunError: _Kind(
        422,
        "refused-by-runner",
        "The runner would not run this",
        "Mend it; `factotum validate` tells the same.",
    ),
    errors.ArgumentsError: _Kind(
        422, "bad-arguments", "The arguments cannot be read", "One word each, as on a command line."
    ),
    errors.UnreadableError: _Kind(
        422, "factfile-unreadable", "The factfile cannot be read", "Let the server's user read it."
    ),
    errors.DuplicateJobError: _Kind(
        409,
        "duplicate-job",
        "This job is queued or at work already",
        "Wait for its end or cancel it; another tag makes another job of it.",
    ),
    errors.QueueFullError: _Kind(
        429, "queue-full", "As many jobs wait as may", "Try again once some have started."
    ),
    errors.RefusedByPolicyError: _Kind(
        403, "refused-by-policy", "A rule of this server's forbids it", "Ask who runs the server."
    ),
    errors.UnknownJobError: _Kind(
        404, "unknown-job", "There is no such job", "GET /v1/jobs lists those there are."
    ),
    errors.NotPossibleError: _Kind(
        409, "not-possible", "The job's state does not allow it", "Its `actions` say what does."
    ),
    errors.NoRoomError: _Kind(
        507,
        "no-room",
        "There is no room for it on the server's disk",
        "Make room there, or let ended jobs go sooner (--keep); then try again.",
    ),
    errors.BackendError: _Kind(
        503, "backend", "The server cannot do it now", "Try again; its log says more."
    ),
}
_HTTP: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("bad-request", "The request cannot be understood", "See /v1/openapi.json."),
    401: ("token-needed", "A token is needed", "Send `Authorization: Bearer` with its text."),
    403: ("foreign-page", "Not from there", "Ask from the server's own page, or by a program."),
    404: ("no-such-path", "There is nothing here", "See /v1/openapi.json."),
    405: ("no-such-method", "Not by this method", "`Allow` names those that there are."),
    413: ("too-large", "The request is too large", "Leave the factfile on the server: its path."),
    415: ("media-type", "Not in this form", "Send JSON, and say so: application/json."),
    421: ("unknown-host", "No name of this server", "Call it by its address or by --allow-host."),
    422: ("invalid", "The request says something impossible", "See /v1/openapi.json."),
    429: ("too-many", "Too many requests", "Wait as long as `Retry-After` says."),
    500: ("fault", "A fault of the server", "Please report it with the server's log."),
    503: ("busy", "Not now", "Wait as long as `Retry-After` says."),
}
_NO_RIGHT: Final = (
    "no-right",
    "The caller has not the right to do this",
    "Ask who runs the cluster for the right that `detail` names.",
)

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def of_error(error: errors.JobsError) -> Problem:
    """Return what to say of a refusal of the job service."""
    kind = next((_JOBS[each] for each in type(error).__mro__ if each in _JOBS), None)
    if kind is None:
        return of_status(500, str(error))
    problem = Problem(
        type=f"urn:factotum:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=str(error),
        cure=kind.cure,
    )
    if isinstance(error, errors.EmptyFieldError):
        problem.pointer = "/factfilePath" if error.field == "factfile_path" else f"/{error.field}"
    elif isinstance(error, errors.FactfileMissingError):
        problem.pointer = "/factfilePath"
    elif isinstance(error, errors.ArgumentsError):
        problem.pointer = "/args"
    elif isinstance(error, errors.DryRunError):
        _explain(problem)
    return problem


def _explain(problem: Problem) -> None:
    """Say where in the factfile it is, if the runner does."""
    found = _PLACE.search(problem.detail)
    if found is not None and "actfile" in problem.detail:
        problem.pointer = "/factfile"
        problem.place = Place(line=int(found[1]), column=int(found[2]))
    lines = [line.strip() for line in problem.detail.splitlines() if line.strip()]
    if len(lines) > 1:
        problem.violations = lines


def of_refusal(refusal: Refusal) -> Problem:
    """Return what to say to who is not let in."""
    if refusal.lacks_right:
        return _problem(refusal.status, _NO_RIGHT, refusal.detail)
    return of_status(refusal.status, refusal.detail)


def of_status(
    status: int, detail: str, *, pointer: str | None = None, violations: Sequence[str] = ()
) -> Problem:
    """Return what to say of an HTTP status."""
    words = _HTTP.get(status, _HTTP[400 if status < 500 else 500])
    return _problem(status, words, detail, pointer, violations)


def _problem(
    status: int,
    words: tuple[str, str, str],
    detail: str,
    pointer: str | None = None,
    violations: Sequence[str] = (),
) -> Problem:
    name, title, cure = words
    return Problem(
        type=f"urn:factotum:problem:{name}",
        title=title,
        status=status,
        detail=detail,
        cure=cure,
        pointer=pointer,
        violations=list(violations) or None,
    )


def encode(problem: Problem) -> bytes:
    """Write a problem; ASCII alone, for what it cites may be no text at all."""
    return json.dumps(problem.model_dump(exclude_none=True)).encode()


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as a response."""
    more = {name.lower(): value for name, value in (headers or {}).items()}
    if problem.status in (429, 503):
        more.setdefault("retry-after", _LATER)
    if problem.status == 401:
        more.setdefault("www-authenticate", "Bearer")
    return Response(encode(problem), problem.status, more, MEDIA_TYPE)


async def on_error(_request: Request, error: Exception) -> Response:
    """Answer a refusal of the job service."""
    assert isinstance(error, errors.JobsError)  # noqa: S101 - how it is registered
    return answer(of_error(error))


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - how it is registered
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return answer(of_status(error.status_code, str(error.detail)), headers)


def _methods(request: Request) -> list[str]:
    """Return all methods of a path: the framework names those of its first route alone."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] != Match.NONE:
            found |= route.methods
    return sorted(found)


async def on_invalid(_request: Request, error: Exception) -> Response:
    """Answer a request that does not fit its description."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - how it is registered
    found = error.errors()
    first = found[0]
    place = [str(part) for part in first["loc"]]
    if place[:1] == ["path"]:
        return answer(of_status(404, f"no such {place[-1]} can be"))
    status = 400 if first["type"] == "json_invalid" else 422
    pointer = "/" + "/".join(place[1:]) if place[:1] == ["body"] else "/".join(place[1:])
    said = [f"{'/'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in found[:20]]
    return answer(of_status(status, said[0], pointer=pointer, violations=said))


async def on_fault(_request: Request, _error: Exception) -> Response:
    """Answer what should not have happened; the log has the rest."""
    return answer(of_status(500, "something went wrong here"))
