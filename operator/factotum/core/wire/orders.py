"""What the controller answers a Pod: the work order of a claim, and orders during the run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from factotum.core.wire.reports import Report

_WEBHOOK_FIELDS = ("url", "maxStdouterrSize", "heartbeatIntervalSeconds")


class Order:
    """What a report's answer may ask of the runner."""

    STOP = "stop"


class WorkOrder:
    """What a runner is given with its claim, read from the answer's JSON.

    Attributes:
        factfile: its text.
        factfile_hash: SHA-256 of it, hex.
        env: template variables.
        tags: tags of the run.
        start: task to start from, if any.
        is_eager: a task starts when its own dependencies ended, not its level.
        max_parallel: how many tasks may run at once; None: any number.
        webhook: settings of the webhook; None: there is none.
        kept: results of an earlier attempt: a letter a task in level order
            (``reports.STATE_LETTERS``), and by task, as text, their codes,
            start times and durations; None: there are none.
    """

    __slots__ = (
        "env",
        "factfile",
        "factfile_hash",
        "is_eager",
        "kept",
        "max_parallel",
        "start",
        "tags",
        "webhook",
    )

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.factfile: str = body["factfile"]
        self.factfile_hash: str = body["factfileHash"]
        self.env: Mapping[str, str] = body.get("env") or {}
        self.tags: dict[str, str] = body.get("tags") or {}
        self.start: str | None = body.get("start")
        self.is_eager = body.get("scheduling") == "Eager"
        self.max_parallel: int | None = body.get("maxParallel")
        self.webhook: Mapping[str, Any] | None = body.get("webhook")
        self.kept: Mapping[str, Any] | None = body.get("kept")


def work_order(
    name: str,
    spec: Mapping[str, Any],
    factfile: str,
    factfile_hash: str,
    *,
    kept: Report | None = None,
) -> dict[str, Any]:
    """Return the answer to a claim: what ``WorkOrder`` reads.

    Args:
        name: of the FactotumJob.
        spec: of the FactotumJob, or what says the same of a job that is none.
        factfile: its text as it was accepted.
        factfile_hash: SHA-256 of that, hex.
        kept: the results that the attempt begins with.
    """
    webhook = spec.get("webhook")
    order = {
        "factfile": factfile,
        "factfileHash": factfile_hash,
        "jobName": name,
        "env": dict(spec.get("env") or {}),
        "tags": dict(spec.get("tags") or {}),
        "start": spec.get("start"),
        "scheduling": spec.get("scheduling", "Levels"),
        "webhook": {key: webhook[key] for key in _WEBHOOK_FIELDS if key in webhook}
        if webhook
        else None,
    }
    if spec.get("maxParallel") is not None:
        order["maxParallel"] = spec["maxParallel"]
    if kept is not None:
        order["kept"] = {
            "states": kept.states,
            "codes": kept.codes,
            "started": kept.started,
            "seconds": kept.seconds,
        }
    return order
