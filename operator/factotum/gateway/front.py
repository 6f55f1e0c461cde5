"""What is served beside the original's API, on the same port: v1, the page, figures and health."""

import socket
from typing import Any, Final

from factotum.gateway.doorkeeper import Doorkeeper, Rates
from factotum.gateway.figures import Figures, HealthPages
from factotum.gateway.original.requests import Application, Guard, Receive, Scope, Send
from factotum.gateway.page.files import PageFiles
from factotum.gateway.v1.application import make, refuse
from factotum.gateway.v1.streams import AGAIN_SECONDS, Streams
from factotum.jobs.service import JobService

RATE: Final = 500
"""Requests a second of one client: far beyond any page, and not enough to keep us busy."""
_PROTECTING: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)


class Front:
    """The doors beside the original's.

    Args:
        service: what they are to.
        guard: knows the token.
        hosts: names of this server, beside addresses, localhost and this machine's own.
        rate: requests a second for each client.
        again_seconds: after which who reads a stream is looked at again.
    """

    def __init__(
        self,
        service: JobService,
        guard: Guard,
        figures: Figures,
        *,
        hosts: frozenset[str] = frozenset(),
        rate: int = RATE,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self.streams = Streams(service, again_seconds)
        self._figures = figures
        self._guard = guard
        self._hosts = hosts | {socket.gethostname().lower()}
        self._rates = Rates(rate)
        load = service.load
        figures.gauge("workers", "Jobs that may run at once.", lambda: load().workers)
        figures.gauge("jobs_active", "Jobs that run.", lambda: load().active)
        figures.gauge("jobs_waiting", "Jobs in the queue.", lambda: load().waiting)
        figures.gauge("jobs_max_waiting", "Jobs that may wait.", lambda: load().max_waiting)
        figures.gauge("streams", "Open event streams.", lambda: self.streams.count)
        figures.gauge("draining", "1: no new jobs are taken.", lambda: float(service.draining))
        health = HealthPages(figures, service)
        self.applications: dict[str, Application] = {
            "/v1": self._door("/v1", make(service, self.streams, wants_token=guard.wants_token)),
            "/ui": self._door("/ui", PageFiles(), is_open=True),
            "/metrics": self._door("/metrics", health),
            # Probes of an orchestrator show no token and are told nothing.
            "/healthz": self._door("/healthz", health, is_open=True),
            "/readyz": self._door("/readyz", health, is_open=True),
        }

    def close(self) -> None:
        """End what would not end by itself."""
        self.streams.close()

    def _door(self, name: str, application: Application, *, is_open: bool = False) -> Application:
        door = Doorkeeper(
            _protected(application),
            self._guard,
            refuse,
            hosts=self._hosts,
            rates=self._rates,
            is_open=is_open,
        )
        return self._figures.counted(name, door)


def _protected(application: Application) -> Application:
    """Return an application whose answers tell browsers what not to do with them."""

    async def protect(scope: Scope, receive: Receive, send: Send) -> None:
        async def pass_on(event: Any) -> None:
            if event["type"] == "http.response.start":
                present = {name for name, _ in event["headers"]}
                more = [header for header in _PROTECTING if header[0] not in present]
                event["headers"] = [*event["headers"], *more]
                if b"cache-control" not in present:
                    event["headers"].append((b"cache-control", b"no-store"))
            await send(event)

        await application(scope, receive, pass_on)

    return protect
