"""A job server of a test's own, asked as scripts ask it."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from factotum.core.factfile import references
from support.consul.process import free_ports
from support.server.forking import Forked, Zygote
from support.server.http import Answered, ask

_JSON = {"Content-Type": "application/json"}
_SCHEMA = "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0"


def factfile(*commands: str, name: str = "job") -> dict[str, Any]:
    """Make a factfile whose tasks run these commands, one after the other."""
    tasks = [
        {
            "name": f"task {number}",
            "executor": "shell",
            "command": command,
            "arguments": [],
            "dependsOn": [f"task {number - 1}"] if number else [],
            "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]},
        }
        for number, command in enumerate(commands)
    ]
    return {"schema": _SCHEMA, "data": {"name": name, "tasks": tasks}}


class Server:
    """One server; its options stay over restarts.

    Args:
        folder: where it works, and keeps its data.
        options: beside its port and folder.
        data: where it keeps its data; None: in its folder.
    """

    def __init__(
        self,
        zygote: Zygote,
        folder: Path,
        *options: str,
        program: str = "factotum server",
        data: Path | None = None,
    ) -> None:
        self._zygote = zygote
        self.folder = folder
        self.port = free_ports(1)[0]
        self.data = data or folder / "data"
        self._argv = [f"--port={self.port}", "--ip=127.0.0.1", f"--data-dir={self.data}"]
        self._argv += options
        self._program = program
        self.process: Forked | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.end()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = self._zygote.fork(self._argv, self.folder, self._program)
        self.process.wait_until_listening(self.port)

    def end(self, number: int) -> int:
        """Send it a signal and wait for its end."""
        assert self.process is not None
        return self.process.end(number)

    def write(self, name: str, document: Mapping[str, Any]) -> Path:
        """Write a factfile."""
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def ask(self, path: str, body: object = None) -> Answered:
        """GET, or POST if there is a body."""
        if body is None:
            return ask(self.port, "GET", path)
        return ask(self.port, "POST", path, _JSON, json.dumps(body).encode())

    def submit(self, path: Path, args: Sequence[str] = (), name: str = "job") -> str:
        """Submit a job and return its id."""
        body = {"jobName": name, "factfilePath": str(path), "factfileArgs": list(args)}
        answer = self.ask("/submit", body)
        text = json.loads(answer.body)["message"]
        assert answer.status == 200, text
        return str(text.partition("[")[2].rstrip("]"))

    def entry(self, job_id: str) -> dict[str, Any]:
        """Return a job's entry; empty if there is none."""
        answer = self.ask(f"/check?id={job_id}")
        return json.loads(answer.body) if answer.status == 200 else {}

    def wait_for(self, job_id: str, state: str = "DONE", seconds: float = 30) -> dict[str, Any]:
        """Wait until a job is in a state, and return its entry."""
        deadline = time.monotonic() + seconds
        while (entry := self.entry(job_id)).get("state") != state:
            assert time.monotonic() < deadline, f"{job_id} is not {state}: {entry}"
            time.sleep(0.02)
        return entry

    def status(self) -> dict[str, Any]:
        """Return what /status tells."""
        found: dict[str, Any] = json.loads(self.ask("/status").body)
        return found


def job_id_of(document: Mapping[str, Any], **tags: str) -> str:
    """Compute a job's id as clients do."""
    return references.job_id(document, tags)
