"""The result of a run as a document: what `--verdict` writes and `--resume` reads.

Also valid for a run that has not ended; the tasks then show how far it got.
"""

from __future__ import annotations

import json

from factotum.core import errors
from factotum.core.factfile.references import content_hash
from factotum.core.run.results import KeptResult
from factotum.core.words.states import TaskState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from factotum.core.factfile.document import Factfile
    from factotum.core.run.execution import Execution, TaskRun

FORMAT = "factotum-verdict/1"


def describe(execution: Execution) -> dict[str, Any]:
    """Return the document of a run."""
    factfile = execution.factfile
    return {
        "format": FORMAT,
        "factfileHash": factfile_hash(factfile),
        "jobName": factfile.name,
        "state": execution.state,
        "interrupted": execution.stopped,
        "tasks": [_describe_task(run) for run in execution.task_runs],
    }


def render(execution: Execution) -> str:
    """Return the document as text.

    Bytes of arguments that are not UTF-8 are escapes there, which `parse_kept` reads as they were.
    """
    text = json.dumps(describe(execution), ensure_ascii=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()


def factfile_hash(factfile: Factfile) -> str:
    """Return the hash by which a verdict knows its factfile, rendered with its variables."""
    return content_hash(factfile.compact)


def parse_kept(text: str, factfile: Factfile) -> dict[str, KeptResult]:
    """Return the results that a new run of the same factfile need not repeat.

    Raises:
        VerdictError: The text is no verdict, or one of another factfile.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.VerdictError("it is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise errors.VerdictError(f"it is not a document of the format '{FORMAT}'")
    if document.get("factfileHash") != factfile_hash(factfile):
        raise errors.VerdictError(
            "it belongs to another factfile, or to other values of --env and --tag"
        )
    tasks = document.get("tasks")
    if not isinstance(tasks, list):
        raise errors.VerdictError("it has no list of tasks")
    kept = {}
    for task in tasks:
        if _is_kept(task):
            kept[task["name"]] = KeptResult(
                task["returnCode"], _integer(task, "startedAtNs"), _integer(task, "durationNs")
            )
    return kept


def _describe_task(run: TaskRun) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": run.name, "state": run.state}
    if run.return_code is not None:
        shown["returnCode"] = run.return_code
    if run.started_at_ns is not None:
        shown["startedAtNs"] = run.started_at_ns
    if run.duration_ns is not None:
        shown["durationNs"] = run.duration_ns
    if run.interrupted:
        shown["interrupted"] = True
    if run.kept:
        shown["kept"] = True
    if run.error_message is not None:
        shown["errorMessage"] = run.error_message
    return shown


def _is_kept(task: object) -> bool:
    return (
        isinstance(task, dict)
        and task.get("state") == TaskState.SUCCEEDED
        and not task.get("interrupted")
        and isinstance(task.get("name"), str)
        and isinstance(task.get("returnCode"), int)
    )


def _integer(task: dict[str, Any], key: str) -> int | None:
    value = task.get(key)
    return value if isinstance(value, int) else None
