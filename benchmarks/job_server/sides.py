"""What is compared: servers that run one-task jobs on this machine, each by its command."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import workloads
from benchmarks.job_server import clients

WORKERS = 20
NAIVE = "naive"
OURS = "factotum server"
LABELS = {
    "ours": OURS,
    "alone": "factotum server, Consul, --boxes=alone",
    "share": "factotum server, Consul, --boxes=share",
    "naive": NAIVE,
}
_QUEUE = 100_000
_START_SECONDS = 60.0


class Side(NamedTuple):
    """A server that runs.

    Attributes:
        label: how it is called in tables.
        port: where it listens, on loopback.
        pid: its first process.
    """

    label: str
    port: int
    pid: int

    def left(self, answer: dict[str, Any]) -> int:
        """Return how many jobs have not ended, from what its /status tells."""
        if self.label == NAIVE:
            return int(answer["inQueue"]) + int(answer["active"])
        told = answer["dispatcher"]
        return int(told["jobs"]["inQueue"]) + int(told["workers"]["active"])

    def until_idle(self) -> None:
        """Wait until all jobs have ended."""
        clients.wait_until(self.port, lambda told: self.left(told) == 0, "/status")


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[Side]:
    """Run a side, by its name in LABELS, in a folder of its own; with a Consul if it needs one."""
    folder.mkdir()
    with contextlib.ExitStack() as cleanup:
        if name == "naive":
            script = Path(__file__).parent / "naive.py"
            port = _free_port()
            command = [sys.executable, str(script), str(port), _factotum(), str(WORKERS)]
        else:
            options: list[str] = []
            if name != "ours":
                options = [f"--boxes={name}", *_consul(folder, cleanup)]
            port, command = server_command(folder, *options)
        yield Side(LABELS[name], port, cleanup.enter_context(serving(command, port, folder)))


def server_command(folder: Path, *options: str) -> tuple[int, list[str]]:
    """Give a port and the command of our server there, with its data below a folder."""
    port = _free_port()
    data = f"--data-dir={folder / 'data'}"
    command = [_factotum(), "server", f"--port={port}", f"--max-jobs={_QUEUE}", data, *options]
    return port, command


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, folder: Path) -> Iterator[int]:
    """Run a server's command until it listens; give its process id, and end it."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.005)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def submissions(path: Path, first: int, count: int) -> Iterator[bytes]:
    """Yield requests for so many different jobs, by their numbers."""
    for number in range(first, first + count):
        args = ["--tag", f"n,{number}"]
        body = {"jobName": "bench", "factfilePath": str(path), "factfileArgs": args}
        yield clients.post("/submit", body)


def write_factfile(folder: Path) -> Path:
    """Write a job of one task that does next to nothing."""
    job = workloads.Job("echo")
    job.add("echo", "echo")
    path = folder / "echo.factfile"
    job.write_factfile(path)
    return path


def _consul(folder: Path, cleanup: contextlib.ExitStack) -> list[str]:
    from benchmarks import cluster  # noqa: F401, PLC0415 - it says where the tests' parts are
    from support.consul.process import ConsulProcess  # noqa: PLC0415

    consul = cleanup.enter_context(ConsulProcess.keeping(folder / "consul"))
    host, _, port = consul.address.partition(":")
    return [f"--consul-ip={host}", f"--consul-port={port}"]


def _factotum() -> str:
    return workloads.program("factotum")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
