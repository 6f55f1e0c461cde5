"""FactotumJobs as plain manifests, with keyword defaults; what a user would write."""

from typing import Any

SCHEMA = "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0"


def make_task(name: str = "a", *after: str, **fields: Any) -> dict[str, Any]:
    """Build a task that comes after others; `fields` replace its own, None removes one."""
    task = {
        "name": name,
        "executor": "shell",
        "command": "echo",
        "arguments": [name],
        "dependsOn": list(after),
        "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]},
    }
    task.update(fields)
    return {key: value for key, value in task.items() if value is not None}


def make_factfile(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Build a factfile."""
    return {"schema": SCHEMA, "data": {"name": "a job", "tasks": list(tasks)}} | fields


def make_job(
    namespace: str, factfile: Any = None, *, name: str = "job", **spec: Any
) -> dict[str, Any]:
    """Build a FactotumJob; without a factfile one of a single task."""
    inline = {} if "factfileFrom" in spec else {"factfile": factfile or make_factfile(make_task())}
    return {
        "apiVersion": "factotum.snowplowanalytics.com/v1alpha1",
        "kind": "FactotumJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": inline | spec,
    }
