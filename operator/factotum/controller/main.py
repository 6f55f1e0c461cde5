"""``factotum-operator``: the controller's command."""

import logging
import signal
import sys
from collections.abc import Sequence

import kopf

from factotum.controller.log import OneLine
from factotum.controller.operator import Operator
from factotum.controller.settings import Settings
from factotum.controller.watch import handlers


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop."""
    settings = Settings.from_arguments(sys.argv[1:] if argv is None else argv)
    kopf.configure(
        verbose=False,
        log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL,
    )
    # Not a line for each event and each probe: jobs' steps are told by the reconciler.
    for name in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(OneLine())
    registry = kopf.OperatorRegistry()
    operator = Operator(settings)
    handlers.register(registry, operator)
    # Whoever was stopped and goes on finds out at once whether it still leads.
    signal.signal(signal.SIGCONT, lambda *_: operator.woken())
    liveness = (
        f"http://{settings.liveness_host}:{settings.liveness_port}/healthz"
        if settings.liveness_port
        else None
    )
    kopf.run(
        registry=registry,
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=liveness,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
