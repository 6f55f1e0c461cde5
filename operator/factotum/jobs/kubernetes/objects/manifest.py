"""What a submission becomes: a FactotumJob, and a ConfigMap for a large factfile. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from factotum.jobs.errors import RefusedByPolicyError
from factotum.jobs.kubernetes.objects import naming
from factotum.jobs.kubernetes.objects.submission import Submitted
from factotum.jobs.views import JobRequest, RunOptions
from factotum.kube import names
from factotum.kube.api import RawObject
from factotum.kube.resource import Duplicates

FACTFILE_KEY: Final = "factfile"
MAX_FACTFILE_BYTES: Final = 1024 * 1024 - 1024
"""Of a ConfigMap's 1 MiB, its key counted."""
_INLINE_BYTES: Final = 256 * 1024
# What the resource's schema allows, in characters and entries; a ConfigMap takes any text.
_SHORT: Final = 1024
_LONG: Final = 131_072
_TASKS: Final = 2000
_ARGUMENTS: Final = 4096
_CODES: Final = 1024


def job(
    request: JobRequest,
    submitted: Submitted,
    *,
    namespace: str,
    number: int,
    config_map: str = "",
    keep_seconds: int | None = None,
) -> RawObject:
    """Build the FactotumJob of a request's run.

    Args:
        number: of the run, from 1.
        config_map: the name of the one that has the factfile; empty: the job has it.
        keep_seconds: how long it is kept once it has ended.

    Raises:
        RefusedByPolicyError: a FactotumJob cannot say what is asked for.
    """
    spec = _spec(request.options)
    if config_map:
        reference = {"name": config_map, "key": FACTFILE_KEY}
        spec["factfileFrom"] = {"configMapKeyRef": reference}
    else:
        spec["factfile"] = json.loads(request.factfile)
    if keep_seconds is not None:
        spec["ttlSecondsAfterFinished"] = keep_seconds
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": naming.run_name(request.job_id, number),
            "namespace": namespace,
            "labels": naming.labels(request.job_id),
            "annotations": submitted.annotations(),
        },
        "spec": spec,
    }


def _spec(options: RunOptions | None) -> dict[str, Any]:
    if options is None:
        raise RefusedByPolicyError("on Kubernetes jobs are run by our own runner alone")
    if options.max_parallel is not None:
        raise RefusedByPolicyError("--max-parallel: FactotumJobs do not have it yet; leave it out")
    # Two of one job id never run together, whoever made the other: it waits, and nothing is lost.
    spec: dict[str, Any] = {"duplicatePolicy": Duplicates.QUEUE}
    if options.start is not None:
        spec["start"] = options.start
    for name, values in (("env", options.env), ("tags", options.tags)):
        if values:
            spec[name] = dict(values)
    if "host" in options.constraints:  # the runner looks at no other
        spec["constraints"] = {"host": options.constraints["host"]}
    if options.eager:
        spec["scheduling"] = "Eager"
    if options.webhook is not None:
        fields = {
            "url": options.webhook.url,
            "maxStdouterrSize": options.webhook.max_stdouterr_size,
            "heartbeatIntervalSeconds": options.webhook.heartbeat_seconds,
        }
        spec["webhook"] = {name: value for name, value in fields.items() if value is not None}
    return spec


def config_map(request: JobRequest, *, namespace: str, name: str) -> RawObject:
    """Build the ConfigMap that holds a request's factfile.

    Raises:
        RefusedByPolicyError: it is too large.
    """
    size = len(request.factfile.encode())
    if size > MAX_FACTFILE_BYTES:
        raise RefusedByPolicyError(
            f"the factfile has {size} bytes, and a ConfigMap, which is to hold it, takes at most"
            f" {MAX_FACTFILE_BYTES}: divide it"
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": naming.labels(request.job_id),
        },
        "immutable": True,
        "data": {FACTFILE_KEY: request.factfile},
    }


def owner(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference that has something deleted with a FactotumJob."""
    metadata = raw["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def fits_inline(text: str) -> bool:
    """Whether a checked factfile can be part of the object: that knows limits of its own."""
    if len(text.encode()) > _INLINE_BYTES:
        return False
    document = json.loads(text)
    data = document["data"]
    tasks = data["tasks"]
    return (
        _are_short((document["schema"], data["name"]), _SHORT)
        and len(tasks) <= _TASKS
        and all(map(_task_fits, tasks))
    )


def _task_fits(task: Mapping[str, Any]) -> bool:
    codes = task["onResult"]
    return (
        _are_short((task["name"], task["executor"], *task["dependsOn"]), _SHORT)
        and _are_short((task["command"], *task["arguments"]), _LONG)
        and len(task["arguments"]) <= _ARGUMENTS
        and len(task["dependsOn"]) <= _TASKS
        and len(codes["terminateJobWithSuccess"]) <= _CODES
        and len(codes["continueJob"]) <= _CODES
    )


def _are_short(texts: Sequence[str], most: int) -> bool:
    return all(len(text) <= most for text in texts)
