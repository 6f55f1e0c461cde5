"""``factotum-operator``: the controller's command."""

import logging
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

import kopf

from factotum.controller.log import OneLine, Plain
from factotum.controller.operator import Operator
from factotum.controller.settings import Settings
from factotum.controller.watch import handlers

logger = logging.getLogger(__name__)

_NOT_FOUND: Final = 404
_PAUSE_SECONDS: Final = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop."""
    settings = Settings.from_arguments(sys.argv[1:] if argv is None else argv)
    set_up_log(settings.log_format)
    while not _ran_to_its_end(settings):
        # Somebody removed the definition of our kind, and all jobs with it: it may come again.
        logger.warning("FactotumJobs are not served any more: waiting for their definition")
        time.sleep(_PAUSE_SECONDS)
    return 0


def _ran_to_its_end(settings: Settings) -> bool:
    """Run an operator; False if it ended because its kind is gone."""
    registry = kopf.OperatorRegistry()
    operator = Operator(settings)
    handlers.register(registry, operator)
    # Whoever was stopped and goes on finds out at once whether it still leads.
    signal.signal(signal.SIGCONT, lambda *_: operator.woken())
    try:
        kopf.run(
            registry=registry,
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    except Exception as exc:
        # kopf ends with the error of its watch, whose class it keeps to itself.
        if getattr(exc, "status", None) != _NOT_FOUND:
            raise
        return False
    return True


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
