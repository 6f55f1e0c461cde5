"""Operators that start within a moment: forked from a process that has their modules loaded.

To load the operator's modules takes most of its start, and the tests start it hundreds of times.
What comes of it is a process as any other: in a session of its own, with the arguments,
environment and files that it is given, which runs the command's `main` and then ends as Python
does. Those that start it by its console script are told by `OperatorProcess`.

This file is also the program of the process that forks. It has one thread and serves one tester,
with whom it ends; what it forked stays, as what is started otherwise would.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

KUBECONFIG = "kubeconfig"
"""The Kubernetes client finds out where it is when it is loaded: in the folder it will begin in."""
_SIZE = 1 << 20


class Forked:
    """A process that was forked for us, as far as `subprocess.Popen` is used for one."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        told = line.recv(_SIZE)
        if not told:
            raise AssertionError("no operator was forked: the process that does so ended")
        self.pid = int(told)
        self._code: int | None = None

    def poll(self) -> int | None:
        """Give its exit code, once it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and give its exit code."""
        if self._code is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("factotum-operator", timeout or 0)
            told = self._line.recv(_SIZE)
            if not told:
                raise AssertionError("nobody knows how the operator ended")
            self._code = int(told)
            self._line.close()
        return self._code

    def terminate(self) -> None:
        """Ask it to end, if it has not."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def fork(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: IO[bytes]
) -> Forked:
    """Start an operator in a folder in which its kubeconfig is; its words go to a file."""
    line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {"command": list(command), "environment": dict(environment), "folder": str(folder)}
    with theirs:
        files = [theirs.fileno(), log.fileno()]
        socket.send_fds(_parent(), [json.dumps(asked).encode()], files)
    return Forked(line)


@functools.cache
def _parent() -> socket.socket:
    """Start the process that forks; one for all tests of a worker."""
    line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            # Not with the folder of this file among those of modules.
            [sys.executable, "-P", __file__],
            env=os.environ | {"KUBECONFIG": KUBECONFIG},
            stdin=theirs,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(line.close)
    return line


def _serve(line: socket.socket) -> bool:
    """Fork whenever it is asked for; True in the child, False once nobody is left to ask."""
    children: dict[int, socket.socket] = {}
    wakes, woken = socket.socketpair()
    for each in (wakes, woken):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    while True:
        ready, _, _ = select.select([line, wakes], [], [])
        if wakes in ready:
            wakes.recv(_SIZE)
            _tell_of_ends(children)
        if line not in ready:
            continue
        asked, files, _, _ = socket.recv_fds(line, _SIZE, 2)
        if not asked:
            return False
        teller, log = socket.socket(fileno=files[0]), files[1]
        if not (pid := os.fork()):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for each in (line, wakes, woken, *children.values()):
                each.close()
            _become(json.loads(asked), log)
            teller.send(str(os.getpid()).encode())
            teller.close()
            return True
        children[pid] = teller
        os.close(log)


def _tell_of_ends(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with children.pop(pid) as teller, contextlib.suppress(OSError):
            teller.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict[str, Any], log: int) -> None:
    """Have files, arguments and environment as they are after an ordinary start."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    sys.argv = asked["command"]
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])


def _main() -> None:
    from factotum.controller.main import main

    line = socket.socket(fileno=os.dup(0))
    if _serve(line):
        sys.exit(main())


if __name__ == "__main__":
    _main()
