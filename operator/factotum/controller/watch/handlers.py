"""kopf's part: log-in, watches and the liveness probe.

Every handler only passes on what it saw. ``on.event`` handlers leave no mark
on the objects: no finalizers, no annotations.
"""

import logging
from typing import Any

import kopf

from factotum.controller.operator import Operator
from factotum.controller.watch.storages import NoDiffBase, NoProgress
from factotum.kube import errors, names
from factotum.persistence.consul import ConsulAddressError
from factotum.persistence.entries import EntrySettingsError

logger = logging.getLogger(__name__)


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Register the operator's handlers."""

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        # A watch that hangs would leave the store stale without a sign.
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 360
        settings.watching.connect_timeout = 10
        settings.watching.chunk_size = 500
        settings.watching.label_selectors["pods"] = names.LABEL_JOB_UID
        settings.networking.request_timeout = 30
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = NoDiffBase()
        settings.persistence.progress_storage = NoProgress()
        # No look at CRDs and namespaces: no rights for it needed.
        settings.scanning.disabled = True
        try:
            await operator.start()
        except (errors.KubeError, EntrySettingsError, ConsulAddressError, OSError) as exc:
            # kopf would try again within a half-started process; a new one is cleaner.
            logger.exception("the operator cannot start")
            raise kopf.PermanentError(str(exc)) from exc

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()

    @kopf.on.login(registry=registry)
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.probe(registry=registry, id="work")
    def probe(**_: Any) -> str:
        failure = operator.failure()
        if failure is not None:
            raise kopf.PermanentError(failure)
        return f"{len(operator.reconciler.queue)} jobs to look at"

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def job_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        operator.job_changed(type, dict(body))

    @kopf.on.event("", "v1", "pods", labels={names.LABEL_JOB_UID: kopf.PRESENT}, registry=registry)
    async def pod_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        operator.pod_changed(type, dict(body))

    @kopf.on.event("", "v1", "nodes", registry=registry)
    async def node_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        operator.node_changed(type, dict(body))
