"""``factotum-operator``: the controller's command."""

import logging
import signal
import sys
from collections.abc import Sequence

import kopf

from factotum.controller.log import OneLine, Plain
from factotum.controller.operator import Operator
from factotum.controller.settings import Settings
from factotum.controller.watch import handlers


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop."""
    settings = Settings.from_arguments(sys.argv[1:] if argv is None else argv)
    set_up_log(settings.log_format)
    registry = kopf.OperatorRegistry()
    operator = Operator(settings)
    handlers.register(registry, operator)
    # Whoever was stopped and goes on finds out at once whether it still leads.
    signal.signal(signal.SIGCONT, lambda *_: operator.woken())
    kopf.run(
        registry=registry,
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )
    return 0


def set_up_log(log_format: str) -> None:
    """Have everything that is said written to standard error, as text or as JSON."""
    is_json = log_format == "json"
    form = kopf.LogFormat.JSON if is_json else kopf.LogFormat.FULL
    kopf.configure(verbose=False, log_format=form)
    # Not a line for each event and each probe: jobs' steps are told by the reconciler.
    for name in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(OneLine())
        if not is_json:
            handler.setFormatter(Plain(form.value))


if __name__ == "__main__":
    sys.exit(main())
