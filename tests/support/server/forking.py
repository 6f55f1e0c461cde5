"""Job servers as processes that need no start-up: forked from one that has everything loaded.

What is forked does what the command does, with its arguments, in a folder and a
session of its own. The command itself is started in the tests of its command line.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_NUMBERS = itertools.count(1)

_ZYGOTE = """
import json, os, select, signal, socket, sys
import factotum.gateway.life, factotum.gateway.main, factotum.jobs.local.consul_entries
import factotum.gateway.cluster
from kubernetes.aio.config import kube_config
line = socket.socket(fileno=os.dup(0))
children = {}
while True:
    for ready in select.select([line, *children], [], [])[0]:
        if ready is not line:
            pid = children.pop(ready)
            os.close(ready)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            line.send(json.dumps({"pid": pid, "ended": status}).encode())
            continue
        message = line.recv(65536)
        if not message:
            sys.exit()
        order = json.loads(message)
        pid = os.fork()
        if pid:
            children[os.pidfd_open(pid)] = pid
            line.send(json.dumps({"pid": pid}).encode())
            continue
        line.close()
        for each in children:
            os.close(each)
        os.setsid()
        os.chdir(order["folder"])
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
        os.environ.update(order["environ"])
        if place := order["environ"].get("KUBECONFIG"):  # the client reads it when it is loaded
            kube_config.KUBE_CONFIG_DEFAULT_LOCATION = place
        try:
            code = factotum.gateway.main.run(order["argv"], order["program"])
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 101
        sys.stdout.flush()
        os._exit(code)
"""
_START_SECONDS = 30


class Zygote:
    """The loaded process. Use as a context manager."""

    def __enter__(self) -> Self:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-c", _ZYGOTE], stdin=theirs.fileno())
        self.ended: dict[int, int] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._process.wait()

    def fork(self, argv: Sequence[str], folder: Path, program: str, **environ: str) -> "Forked":
        """Start a server; its output goes to files in the folder."""
        name = f"server-{next(_NUMBERS)}"
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        order = {"argv": list(argv), "folder": str(folder), "program": program}
        order |= {"out": str(out), "err": str(err), "environ": environ}
        self._line.send(json.dumps(order).encode())
        while "ended" in (told := self._hear(None)):
            pass
        return Forked(self, told["pid"], out, err)

    def listen(self) -> None:
        """Take note of servers that have ended."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._hear(socket.MSG_DONTWAIT)

    def _hear(self, flags: int | None) -> dict[str, int]:
        told = json.loads(self._line.recv(4096, flags or 0))
        if "ended" in told:
            self.ended[told["pid"]] = told["ended"]
        return told


class Forked:
    """A server that was forked."""

    def __init__(self, zygote: Zygote, pid: int, out: Path, err: Path) -> None:
        self._zygote = zygote
        self.pid = pid
        self.out = out
        self.err = err

    @property
    def returncode(self) -> int | None:
        """How it has ended, as subprocess tells it."""
        return self._zygote.ended.get(self.pid)

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        self._zygote.listen()
        return self.returncode

    def wait(self, seconds: float = 40) -> int:
        """Wait for its end."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"server {self.pid} has not ended within {seconds} s")
            time.sleep(0.005)
        return code

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and wait."""
        if self.poll() is None:
            os.kill(self.pid, number)
        return self.wait()

    def wait_until_listening(self, port: int) -> None:
        """Wait until it accepts connections.

        Raises:
            RuntimeError: it has ended before.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if self.poll() is not None:
                    text = self.out.read_text() + self.err.read_text()
                    msg = f"the server ended with {self.returncode}: {text}"
                    raise RuntimeError(msg) from None
                time.sleep(0.01)
            else:
                return
        raise TimeoutError("the server does not listen")
