"""A real Consul agent as a process of the test's own, on free ports.

``fresh`` keeps nothing over a restart; ``keeping`` is a one-server cluster with
its data on disk. Both can be stopped, killed, frozen and started again on the
same port.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

_FETCH = Path(__file__).parents[3] / "hack" / "consul" / "fetch"
_START_SECONDS = 20


@cache
def program() -> str:
    """Return Consul's path; fetched once, then from the cache."""
    done = subprocess.run([_FETCH], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"no Consul for the tests: {done.stderr.strip()} (try hack/consul/fetch yourself)"
        raise RuntimeError(msg)
    return done.stdout.strip()


# Below what the kernel gives to outgoing connections, and away from the local clusters' ports.
# Each of the workers that run tests beside each other has its own: what is down for a moment,
# to come back on its port, finds nobody there.
_PORTS_EACH = 500
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_PORTS = range(10_000 + _PORTS_EACH * _WORKER, 10_000 + _PORTS_EACH * (_WORKER + 1))
_NEXT = itertools.cycle(random.sample(_PORTS, _PORTS_EACH))
"""In turn: nobody else gets a port that somebody has asked for and not opened yet."""


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on.

    Whoever asked for them opens them later, so they are none that any connection may get
    meanwhile, nor any test beside this one.
    """
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = next(_NEXT)
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                found.append(port)
        return found


class ConsulProcess:
    """One agent. Use as a context manager."""

    _headers: Mapping[str, str] = {}
    """What its administrator says with each request."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self._folder = folder
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._server, self._serf = free_ports(3)
        self.address = f"127.0.0.1:{self.port}"

    @classmethod
    def fresh(cls, folder: Path) -> Self:
        """Prepare an agent that forgets everything when it stops."""
        return cls(folder, keep=False)

    @classmethod
    def keeping(cls, folder: Path) -> Self:
        """Prepare an agent that keeps its data."""
        return cls(folder, keep=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it takes writes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "settings.json"
        settings.write_text(json.dumps(self._settings()))
        kind = (
            ["-server", "-bootstrap-expect=1", f"-data-dir={self._folder / 'data'}"]
            if self._keep
            else ["-dev"]
        )
        command = [program(), "agent", *kind, "-bind=127.0.0.1", "-client=127.0.0.1"]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*command, "-node=test", "-log-level=warn", f"-config-file={settings}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._writable():
            if time.monotonic() > deadline or self._process.poll() is not None:
                tail = (self._folder / "log").read_text()[-2000:]
                msg = f"Consul did not start; its last lines:\n{tail}"
                self.kill()
                raise RuntimeError(msg)
            time.sleep(0.05)

    def _settings(self) -> dict[str, Any]:
        """Give its settings; whoever guards it more adds to them."""
        ports = {"http": self.port, "server": self._server, "serf_lan": self._serf}
        ports |= dict.fromkeys(("dns", "grpc", "serf_wan", "https"), -1)
        return {
            "ports": ports,
            "performance": {"raft_multiplier": 1},
            # Tests that wait for a session's end wait for seconds instead of half a minute.
            "session_ttl_min": "1s",
            "leave_on_terminate": False,
        }

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError("Consul does not run")
        return self._process.pid

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it accept connections and never answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def get(self, path: str) -> bytes | None:
        """Read a key past our own code."""
        status, body = self._request("GET", f"{path}?raw")
        return body if status == 200 else None

    def put(self, path: str, value: bytes) -> None:
        """Write a key as an old server does: without looking."""
        status, body = self._request("PUT", path, value)
        if (status, body.strip()) != (200, b"true"):
            msg = f"Consul answered {status} {body!r} to a write of {path}"
            raise OSError(msg)

    def keys(self, prefix: str) -> list[str]:
        """List the keys below a prefix."""
        status, body = self._request("GET", f"{prefix}/?keys")
        return list(json.loads(body)) if status == 200 else []

    def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        return self._ask(method, f"/v1/kv/{path}", body)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        with contextlib.closing(self._connection()) as connection:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _writable(self) -> bool:
        try:
            self.put("test/started", b"x")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        self._process.wait(timeout=10)
        self._process = None


@contextlib.contextmanager
def silent_listener() -> Iterator[str]:
    """Yield the address of a socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
