"""v1 put together: resources, problems, and the document that describes them."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from factotum import __version__
from factotum.gateway.doorkeeper import Refusal
from factotum.gateway.original.requests import Application
from factotum.gateway.v1 import logs, problems, resources
from factotum.gateway.v1.streams import Streams, TooManyStreamsError
from factotum.jobs.errors import JobsError
from factotum.jobs.service import JobService

_ABOUT = """Submit factfiles, watch them run, stop and resume them.

Every refusal is a problem (RFC 9457) with its place and its cure. Streams are
server-sent events; `Last-Event-ID` takes them up where they broke off.
"""


def make(service: JobService, streams: Streams, *, wants_token: bool) -> FastAPI:
    """Return v1 as an application that has all its paths below ``/v1``.

    Args:
        service: does it.
        streams: all open ones.
        wants_token: whether callers must show one; the document says so.
    """
    app = FastAPI(
        title="Factotum server",
        version=__version__,
        description=_ABOUT,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # it would load its programs from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.routes = [*resources.router.routes, *logs.router.routes]
    app.state.parts = resources.Parts(service, streams)
    app.include_router(resources.router)
    app.include_router(logs.router)
    app.add_exception_handler(JobsError, problems.on_error)
    app.add_exception_handler(TooManyStreamsError, _on_many_streams)
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(Exception, problems.on_fault)
    if wants_token:
        _describe_token(app)
    return app


async def _on_many_streams(_request: Request, _error: Exception) -> Response:
    return problems.answer(problems.of_status(429, "as many streams are open as may"))


def _describe_token(app: FastAPI) -> None:
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        document["security"] = [{"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to change it


def refuse(refusal: Refusal) -> Application:
    """Return what answers a request that is not let in, as a problem."""
    # A response is an application.
    return problems.answer(problems.of_refusal(refusal), refusal.headers)
