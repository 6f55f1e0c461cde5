"""kopf's part: log-in, and the watch of FactotumJobs.

Every handler only passes on what it saw. ``on.event`` handlers leave no mark
on the objects: no finalizers, no annotations.
"""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import kopf

from factotum.controller.watch.sources import NEW
from factotum.controller.watch.storages import NoDiffBase, NoProgress
from factotum.kube import names

logger = logging.getLogger(__name__)


class Operated(Protocol):
    """The operator as kopf's handlers know it."""

    async def start(self) -> None:
        """Read the world, then begin to work; any error ends the process."""

    async def stop(self) -> None:
        """End."""

    def job_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about a FactotumJob."""


def register(registry: kopf.OperatorRegistry, operator: Operated) -> None:
    """Register the operator's handlers."""

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        # A watch that hangs would leave the cache stale without a sign.
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 360
        settings.watching.connect_timeout = 10
        settings.watching.chunk_size = 500
        settings.watching.field_selectors[names.PLURAL] = NEW
        settings.networking.request_timeout = 30
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = NoDiffBase()
        settings.persistence.progress_storage = NoProgress()
        # kopf takes its own finalizer off wherever it is seen, without the right to: this one
        # is no name, so that no user can put it on an object.
        settings.persistence.finalizer = "-"
        # No look at CRDs and namespaces: no rights for it needed.
        settings.scanning.disabled = True
        try:
            await operator.start()
        except Exception as exc:
            # Whatever it is: kopf would try again within a half-started process, a minute later,
            # whose ports are taken by itself. A new one is cleaner.
            logger.exception("the operator cannot start")
            raise kopf.PermanentError(str(exc)) from exc

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()

    @kopf.on.login(registry=registry)
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def job_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        operator.job_changed(type, body)
