"""The server's figures for Prometheus, and whether it is well."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from factotum import __version__
from factotum.core.words.states import JobState
from factotum.gateway.original.requests import Application, Receive, Scope, Send
from factotum.jobs.service import JobService
from factotum.jobs.views import JobQuery, JobView

logger = logging.getLogger(__name__)

_SECONDS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
_READY_SECONDS: Final = 2.0


class Figures:
    """What is counted. Belongs to one event loop."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ended = Counter(
            "factotum_server_jobs_ended",
            "Jobs that reached their verdict.",
            ["outcome", "reason"],
            registry=self._registry,
        )
        self._requests = Counter(
            "factotum_server_requests",
            "Requests, by the first part of their path.",
            ["door", "method", "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "factotum_server_request_seconds",
            "How long answers took to begin.",
            ["door"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        build = Gauge(
            "factotum_server_build_info",
            "Always 1; the version is a label.",
            ["version"],
            registry=self._registry,
        )
        build.labels(__version__).set(1)
        self._ended_keys: dict[str, int] = {}

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Have a figure read whenever it is asked for."""
        Gauge(f"factotum_server_{name}", about, registry=self._registry).set_function(read)

    def hear(self, job: JobView) -> None:
        """Count a job that has its verdict, once for each attempt."""
        if job.state != JobState.DONE:
            self._ended_keys.pop(job.key, None)
        elif self._ended_keys.get(job.key) != job.attempt:
            if len(self._ended_keys) >= 10_000:
                del self._ended_keys[next(iter(self._ended_keys))]
            self._ended_keys[job.key] = job.attempt
            self._ended.labels(job.outcome, job.reason).inc()

    def text(self) -> bytes:
        """Write all figures."""
        return generate_latest(self._registry)

    def counted(self, door: str, application: Application) -> Application:
        """Return an application whose requests are counted.

        Args:
            door: the beginning of its paths.
            application: what answers them.
        """

        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            began = time.monotonic()

            async def pass_on(event: Any) -> None:
                if event["type"] == "http.response.start":
                    method = scope["method"] if scope["method"] in _METHODS else "other"
                    self._requests.labels(door, method, str(event["status"])).inc()
                    self._seconds.labels(door).observe(time.monotonic() - began)
                await send(event)

            await application(scope, receive, pass_on)

        return count


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class HealthPages:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``.

    Args:
        figures: the figures.
        service: must answer for the server to be ready.
    """

    def __init__(self, figures: Figures, service: JobService) -> None:
        self._figures = figures
        self._service = service

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request."""
        status, body, kind = 200, b"ok\n", "text/plain; charset=utf-8"
        if scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b""
        elif scope["path"] == "/metrics":
            body, kind = self._figures.text(), CONTENT_TYPE_PLAIN_0_0_4
        elif scope["path"] == "/readyz":
            problem = await self._problem()
            if problem:
                status, body = 503, f"{problem}\n".encode()
        elif scope["path"] != "/healthz":
            status, body = 404, b""
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    async def _problem(self) -> str:
        """Return why jobs cannot be served now; nothing of it is secret."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._service.list(JobQuery(limit=1))
        except TimeoutError:
            return "the jobs could not be read in time"
        except Exception as error:  # noqa: BLE001 - whatever it is, no thread to be had for one
            logger.warning("not ready: %r", error)
            return "the jobs cannot be read"
        return ""
