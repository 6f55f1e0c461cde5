"""The original's API as an ASGI application, and whoever else serves paths beside it."""

import http
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from factotum.gateway.original import answers, paths
from factotum.gateway.original.answers import Answer, message
from factotum.gateway.original.endpoints import Endpoints
from factotum.gateway.original.requests import (
    MAX_BODY_BYTES,
    Application,
    Bodies,
    GoneError,
    Guard,
    Receive,
    Scope,
    Send,
    TooLargeError,
    declares_type,
    headers_of,
    is_ambiguous,
    skip,
)

logger = logging.getLogger(__name__)

_SKIP_SECONDS: Final = 10.0
_SKIP_BYTES: Final = 2 * MAX_BODY_BYTES
"""More than anybody may send: who sends a little too much is told what is wrong all the same."""
_NO_BODY: Final = "Error: No body found in POST request"


class OriginalApplication:
    """Serves the original's paths.

    Args:
        endpoints: answer.
        guard: says who may ask.
        others: applications by the beginning of their paths, such as ``/v1``; each guards itself.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        guard: Guard,
        others: Mapping[str, Application],
    ) -> None:
        self._endpoints = endpoints
        self._guard = guard
        self._others = others
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        path = paths.path_of(scope["raw_path"])
        if is_ambiguous(scope):
            await _send(scope, send, Answer(status=400, headers=[(b"connection", b"close")]))
            return
        first = f"/{path.split('/', 2)[1]}"
        if path not in paths.ROUTES and first in self._others:
            await self._others[first](scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive, path)
        except GoneError:
            return
        _tell(scope, answer, time.monotonic() - began)
        await _send(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive, path: str) -> Answer:
        method = scope["method"]
        headers = headers_of(scope)
        if method == "OPTIONS":
            if scope["raw_path"] == b"*":
                return Answer(status=400)
            allow = paths.allowed(path).encode()
            return Answer(headers=[(b"allow", allow), (b"content-length", b"0")])
        if not paths.fits(path, method):
            return await self._elsewhere(scope, receive, path, headers)
        denial = await self._guard.denial(headers, paths.DEEDS[path])
        if denial is not None:
            answer = message(f"Error: {denial.text}", denial.status, headers=denial.headers)
            return await _unread(receive, headers, answer)
        if method == "POST":
            return await self._post(path, headers, receive)
        if path == "/status":
            return self._endpoints.status()
        if path == "/check":
            return await self._endpoints.check(answers.parameters(scope["query_string"]))
        return self._endpoints.help()

    async def _post(self, path: str, headers: Mapping[str, str], receive: Receive) -> Answer:
        if self._guard.is_foreign_page(headers):
            answer = message("Error: pages of other sites may not do this", 403)
            return await _unread(receive, headers, answer)
        try:
            body = await self._bodies.read(receive)
        except TooLargeError as error:
            return message(f"Error decoding JSON string: {error}", 400)
        if not body and not declares_type(headers):
            return message(_NO_BODY, 400)
        if path == "/settings":
            return self._endpoints.settings(body)
        return await self._endpoints.submit(body)

    async def _elsewhere(
        self, scope: Scope, receive: Receive, path: str, headers: Mapping[str, str]
    ) -> Answer:
        shorter = paths.without_slash(path, scope["method"])
        if shorter is None:
            logger.error("Error handling:\n%s %s\nError was: NoRoute", scope["method"], path)
            return await _unread(receive, headers, Answer(status=404))
        logger.error("Error handling:\n%s %s\nError was: TrailingSlash", scope["method"], path)
        query = scope["query_string"].decode("latin-1").partition("#")[0]
        place = f"http://{headers.get('host', '')}{shorter}{f'?{query}' if query else ''}"
        answer = Answer(status=301, headers=[(b"location", place.encode("latin-1"))])
        return await _unread(receive, headers, answer)


async def _unread(receive: Receive, headers: Mapping[str, str], answer: Answer) -> Answer:
    """Return the answer to a request whose body is not wanted, and be done with that body."""
    # Who waits to be asked for it is not asked.
    if "expect" not in headers and await skip(receive, at_most=_SKIP_BYTES, seconds=_SKIP_SECONDS):
        return answer
    return replace(answer, headers=[*answer.headers, (b"connection", b"close")])


def _tell(scope: Scope, answer: Answer, seconds: float) -> None:
    """Write the log's lines about an answer."""
    if answer.status >= 400 and isinstance(answer.body, dict) and "message" in answer.body:
        if answer.log:
            logger.error("%s", answer.log)
        logger.warning("%s", answer.body["message"])
    if logger.isEnabledFor(logging.INFO):
        host = next((v for k, v in scope["headers"] if k == b"host"), b"").decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        url = f"http://{host}{scope['raw_path'].decode('latin-1')}{f'?{query}' if query else ''}"
        phrase = http.HTTPStatus(answer.status).phrase
        logger.info(
            "%s %s %d %s (%.4f ms)", scope["method"], url, answer.status, phrase, seconds * 1000
        )


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    headers = list(answer.headers)
    body = b""
    if answer.body is not None:
        pretty = answers.parameters(scope["query_string"]).get("pretty") == "1"
        body = answers.encode(answer.body, pretty=pretty)
        headers.append(answers.JSON)
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
