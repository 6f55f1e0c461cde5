"""The HTTP side of claims and reports: what Pods talk to.

Only form here: paths, tokens, sizes, statuses. ``desk`` decides.
"""

import json
import logging
from collections.abc import Sequence
from typing import Final, Protocol, TypeGuard

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from factotum.controller.claims.door import Door
from factotum.controller.claims.judging import Answer, ClaimRequest, Denied, Granted
from factotum.controller.claims.passing import MARK, PROOF, NoLeaderError, PassingOn, proof
from factotum.controller.claims.tokens import PodIdentity
from factotum.core.wire import addresses
from factotum.core.wire.reports import MAX_BYTES, Report, ReportError
from factotum.kube import errors
from factotum.kube.resource import JobUid

logger = logging.getLogger(__name__)

_CLAIM_ID_LENGTH: Final = range(16, 129)
_HUNG_UP: Final = (ConnectionError, web.RequestPayloadError)
_PARTS: Final = (r"{uid:[0-9A-Za-z-]{1,64}}", r"{attempt:\d{1,9}}", r"{launch:\d{1,9}}")


class Reviewer(Protocol):
    """Finds out whose a token is."""

    async def identify(self, token: str) -> PodIdentity | None:
        """Return whose token it is; None if it is nobody's, or not for us."""


class Decider(Protocol):
    """Decides claims and reports."""

    async def claim(self, request: ClaimRequest, identity: PodIdentity) -> Answer:
        """Decide a claim."""

    async def report(
        self, uid: JobUid, attempt: int, report: Report, identity: PodIdentity
    ) -> Answer:
        """Take a report."""


class ClaimsServer:
    """Serves claims and reports: 503 until it is opened, once the controller knows its objects.

    Args:
        reviewer: finds out whose tokens are.
        host: to listen at.
        port: to listen at.
        name: of this process in the Lease.
        middlewares: see every request and its answer.
    """

    def __init__(
        self,
        reviewer: Reviewer,
        *,
        host: str,
        port: int,
        name: str = "",
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self._reviewer = reviewer
        self._host = host
        self._port = port
        self._name = name
        self._desk: Decider | None = None
        self._passing: PassingOn | None = None
        self._door = Door()
        application = web.Application(client_max_size=MAX_BYTES, middlewares=middlewares)
        application.add_routes(
            [
                web.get("/readyz", self._ready),
                web.post(addresses.claim_path(*_PARTS), self._claim),
                web.post(addresses.report_path(*_PARTS[:2]), self._report),
            ]
        )
        application.on_response_prepare.append(self._sign)
        self._runner = web.AppRunner(application, access_log=None)
        logging.getLogger("aiohttp.server").addFilter(_without_traceback)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        handlers = self._runner.server
        assert handlers is not None, "the runner is set up"  # noqa: S101 - for the type checker
        await self._door.open(handlers, self._host, self._port)

    @property
    def door(self) -> Door:
        """The listening socket."""
        return self._door

    def open(self, desk: Decider) -> None:
        """Begin to answer."""
        self._desk = desk

    def stand_by(self, passing: PassingOn) -> None:
        """Pass on what comes, instead of answering it."""
        self._desk, self._passing = None, passing

    def failure(self) -> str | None:
        """Return why it is of no use any more, if it is."""
        return self._door.failure()

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.close()
        await self._runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        if self._desk is not None:
            return web.Response(text="leading")
        if self._passing is not None:
            return web.Response(text="standing by")
        return web.Response(status=503, text="starting")

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Show who we are in the answer to what was passed on to us."""
        word = request.headers.get(MARK)
        if word is not None and self._desk is not None and self._name:
            response.headers[PROOF] = proof(self._name, word)

    async def _elsewhere(self, request: web.Request, path: str) -> web.Response | None:
        """Have the leader answer, whose request has the right form; None if that is this process.

        What was passed on to us is never passed on again.
        """
        if self._desk is not None:
            return None
        if MARK in request.headers:
            return _failure(503, "this replica does not lead")
        if self._passing is None:
            return _failure(503, "starting")
        try:
            passed = await self._passing.post(path, await request.read(), _token(request))
        except NoLeaderError as exc:
            return _failure(503, str(exc))
        return web.Response(status=passed.status, body=passed.body, content_type="application/json")

    async def _claim(self, request: web.Request) -> web.Response:
        try:
            identity = await self._identify(request)
            if identity is None:
                return _failure(401, "the token is not one of a Pod for this operator")
            claim_id = (await _json(request)).get("claim")
            if not _is_claim_id(claim_id):
                return _failure(400, "claim: expected 16 to 128 letters and digits")
            uid, attempt, launch = _whose(request)
            path = addresses.claim_path(uid, str(attempt), str(launch))
            passed = await self._elsewhere(request, path)
            if passed is not None or self._desk is None:
                return passed or _failure(503, "starting")
            answer = await self._desk.claim(
                ClaimRequest(uid=uid, attempt=attempt, launch=launch, claim_id=claim_id), identity
            )
        except errors.KubeError as exc:
            return _failure(503, str(exc))
        except _HUNG_UP as exc:
            return _hung_up(request, exc)
        return _respond(answer)

    async def _report(self, request: web.Request) -> web.Response:
        try:
            identity = await self._identify(request)
            if identity is None:
                return _failure(401, "the token is not one of a Pod for this operator")
            report = Report.from_json(await request.read())
            uid, attempt, _ = _whose(request)
            passed = await self._elsewhere(request, addresses.report_path(uid, str(attempt)))
            if passed is not None or self._desk is None:
                return passed or _failure(503, "starting")
            answer = await self._desk.report(uid, attempt, report, identity)
        except ReportError as exc:
            return _failure(400, str(exc))
        except errors.KubeError as exc:
            return _failure(503, str(exc))
        except _HUNG_UP as exc:
            return _hung_up(request, exc)
        return _respond(answer)

    async def _identify(self, request: web.Request) -> PodIdentity | None:
        token = _token(request)
        if not token:
            return None
        try:
            identity = await self._reviewer.identify(token)
        except errors.KubeError as exc:
            # Whoever asks has shown nothing yet: what went wrong is for the log.
            logger.warning("a token cannot be checked: %s", exc)
            raise errors.UnreachableError("the token cannot be checked now") from exc
        if identity is not None:
            self._door.proved(request.transport, identity.pod_uid)
        return identity


def _token(request: web.Request) -> str:
    """Return the token that a request shows; empty if it shows none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _whose(request: web.Request) -> tuple[JobUid, int, int]:
    """Return job, attempt and launch that a path names; reports name no launch."""
    parts = request.match_info
    return JobUid(parts["uid"]), int(parts["attempt"]), int(parts.get("launch", 0))


def _is_claim_id(value: object) -> TypeGuard[str]:
    # It becomes one word of a termination message, and is compared in constant time.
    return (
        isinstance(value, str)
        and len(value) in _CLAIM_ID_LENGTH
        and value.isascii()
        and value.isalnum()
    )


def _hung_up(request: web.Request, exc: Exception) -> web.Response:
    """Say in one line that nobody waits for an answer any more."""
    logger.info("a client at %s hung up: %s", request.remote, str(exc) or type(exc).__name__)
    return _failure(400, "the request did not arrive whole")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Have a client that does not speak HTTP told in one line: it is no fault of ours."""
    fault = record.exc_info[1] if record.exc_info else None
    if isinstance(fault, HttpProcessingError):
        record.msg, record.args = "%s: %.200s", (record.getMessage(), fault.message)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True


async def _json(request: web.Request) -> dict[str, object]:
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _respond(answer: Answer) -> web.Response:
    match answer:
        case Granted(body=body):
            return web.json_response(body)
        case Denied(status=status, message=message):
            return _failure(status, message)
        case _:
            return _failure(503, answer.message)


def _failure(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
