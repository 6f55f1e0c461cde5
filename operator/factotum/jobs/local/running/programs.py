"""A foreign runner as a job of one task: its output, stop and end are those of any other."""

import json
import shlex
from typing import Final

from factotum.jobs.local.store.rows import Row

TASK: Final = "factotum run"
_SCHEMA: Final = "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0"


def program_factfile(program: str, row: Row) -> str:
    """Return a factfile whose one task is the foreign runner's process; its exit code decides."""
    words = (program, "run", row.factfile_path, *json.loads(row.args))
    # Our own templates are not the job's: no two braces may meet.
    line = " ".join(shlex.quote(word).replace("{{", "{''{") for word in words)
    task = {
        "name": TASK,
        "executor": "shell",
        "command": f"exec {line}",
        "arguments": [],
        "dependsOn": [],
        "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]},
    }
    return json.dumps({"schema": _SCHEMA, "data": {"name": "program", "tasks": [task]}})
