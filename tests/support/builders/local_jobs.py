"""Jobs as the local backend keeps them."""

from typing import Any

from factotum.jobs.local.store.rows import Row


def row(key: int, **changes: Any) -> Row:
    """Make a job that waits, but for what is changed."""
    values: dict[str, Any] = {
        "key": key,
        "job_id": f"id{key}",
        "name": "job",
        "factfile_path": "inline",
        "factfile_hash": "h",
        "args": "[]",
        "tags": "{}",
        "spec": "{}",
        "task_names": '["a"]',
        "submitted_ms": 1,
        "state": "QUEUED",
        "outcome": "WAITING",
        "reason": "WaitingForWorker",
        "message": "",
        "wanted": "Run",
        "place": key,
        "attempt": 1,
        "launch": 0,
        "token": "",
        "claim_id": None,
        "report": None,
        "kept": None,
        "report_sequence": 0,
        "started_ms": None,
        "ended_ms": None,
        "sequence": 0,
    }
    return Row(**values | changes)
