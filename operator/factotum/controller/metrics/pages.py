"""A small server of short texts: figures and health. Anybody may ask, so it is bounded.

Every answer ends its connection, a connection ends after some seconds in any
case, and when all places are taken the oldest makes room. No answer depends
on anything in a request but its path.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from factotum.controller.health import Check, Health
from factotum.controller.tls.door import Door

_PLACES: Final = 32
_SECONDS: Final = 10.0
_KEPT_SECONDS: Final = 1.0
"""How long the figures' text is given again: to make it takes milliseconds of everybody's time."""


_UNHEARD: Final = logging.Logger("nobody", logging.CRITICAL)  # noqa: LOG001 - nobody finds it
"""Anybody can send bytes that are no HTTP: nobody shall fill the log with them."""
logger = logging.getLogger(__name__)


class Page(NamedTuple):
    """One answer."""

    status: int
    text: bytes
    kind: str = "text/plain; charset=utf-8"


class Pages:
    """Serves pages by their paths."""

    def __init__(
        self,
        pages: Mapping[str, Callable[[], Page]],
        *,
        host: str,
        port: int,
        seconds: float = _SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._door = Door(places=_PLACES, unproved_seconds=seconds)
        application = web.Application(client_max_size=1024)
        application.add_routes([web.get(path, _handler(page)) for path, page in pages.items()])
        self._runner = web.AppRunner(
            application, access_log=None, logger=_UNHEARD, lingering_time=0.0
        )

    def failure(self) -> str | None:
        """Return why it is bounded no more, if it is not."""
        return self._door.failure()

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        handlers = self._runner.server
        assert handlers is not None, "the runner is set up"  # noqa: S101 - for the type checker
        await self._door.open(handlers, self._host, self._port, None)

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.close()
        await self._runner.cleanup()


def _handler(page: Callable[[], Page]) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        try:
            status, text, kind = page()
        except Exception:
            # A border: whoever asks gets an answer, and we the cause.
            logger.exception("a page cannot be made")
            status, text, kind = Page(500, b"it cannot be told\n")
        response = web.Response(status=status, body=text, headers={"Content-Type": kind})
        response.force_close()
        return response

    return answer


def health_pages(health: Health) -> dict[str, Callable[[], Page]]:
    """Return the pages that the kubelet asks for."""
    return {"/healthz": checked_page(health.failure), "/readyz": checked_page(health.missing)}


def checked_page(check: Check) -> Callable[[], Page]:
    """Return a page that says ``ok``, or what the check finds."""

    def page() -> Page:
        found = check()
        return Page(503, f"{found}\n".encode()) if found else Page(200, b"ok\n")

    return page


def figures_page(registry: CollectorRegistry) -> Callable[[], Page]:
    """Return the page that Prometheus asks for."""
    kept = Page(503, b"")
    until = 0.0

    def page() -> Page:
        nonlocal kept, until
        now = time.monotonic()
        if now >= until:
            kept = Page(200, generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)
            until = now + _KEPT_SECONDS
        return kept

    return page
