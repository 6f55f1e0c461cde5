"""What is measured: factfiles of a given shape, and the same work for other tools."""

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCHEMA = "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0"
ORIGINAL = "Factotum 0.7.0 (recorded elsewhere)"


class Job:
    """A DAG of shell commands that can be written down for several tools."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: list[tuple[str, str, Sequence[str]]] = []

    def add(self, name: str, command: str = "true", after: Sequence[str] = ()) -> None:
        """Add a task."""
        self._tasks.append((name, command, after))

    def write_factfile(self, path: Path) -> None:
        """Write the job for Factotum."""
        tasks = [
            {
                "name": name,
                "executor": "shell",
                "command": command,
                "arguments": [],
                "dependsOn": list(after),
                "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]},
            }
            for name, command, after in self._tasks
        ]
        path.write_text(
            json.dumps({"schema": SCHEMA, "data": {"name": self._name, "tasks": tasks}})
        )

    def write_makefile(self, path: Path) -> None:
        """The same for make; its shell is asked for, since make runs `true` without one."""
        names = " ".join(name for name, _, _ in self._tasks)
        rules = [f".PHONY: all {names}\nall: {names}\n"]
        rules += [
            f"{name}: {' '.join(after)}\n\t@sh -c '{command}'\n"
            for name, command, after in self._tasks
        ]
        path.write_text("".join(rules))


def chain(length: int) -> Job:
    """Every task behind the one before."""
    job = Job(f"chain of {length}")
    for number in range(length):
        job.add(f"t{number}", after=[f"t{number - 1}"] if number else [])
    return job


def level(width: int) -> Job:
    """All tasks beside each other."""
    job = Job(f"level of {width}")
    for number in range(width):
        job.add(f"t{number}")
    return job


def layers(depth: int, width: int) -> Job:
    """Each task behind every task of the layer before."""
    job = Job(f"{depth} layers of {width}")
    for row in range(depth):
        before = [f"t{row - 1}-{column}" for column in range(width)] if row else []
        for column in range(width):
            job.add(f"t{row}-{column}", after=before)
    return job


@contextmanager
def folder() -> Iterator[Path]:
    """Give a working folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="factotum-bench-") as name:
        yield Path(name)


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        FileNotFoundError: It is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the benchmarks need `{name}`: install it")
    return found


def shell(script: str) -> list[str]:
    return [program("sh"), "-c", script]


def bare_python() -> list[str]:
    return [sys.executable, "-c", "pass"]


@contextmanager
def consumer() -> Iterator[str]:
    """Accept webhook events at an address."""

    class Accept(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Accept) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
