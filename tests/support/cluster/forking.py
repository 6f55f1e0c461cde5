"""Programs that start within a moment: forked from a process that has their modules loaded.

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

OPERATOR, TEST_NODE, SERVER = "factotum-operator", "test_node", "factotum server"
KUBECONFIG = "kubeconfig"
"""The Kubernetes client finds out where it is when it is loaded: in the folder it will begin in."""
_TEST_NODE = Path(__file__).parents[3] / "hack" / "test-node"
_SIZE = 1 << 20


class Forked:
    """A process that was forked for us, as far as `subprocess.Popen` is used for one."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        told = line.recv(_SIZE)
        if not told:
            raise AssertionError("nothing was forked: the process that does so ended")
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
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            told = self._line.recv(_SIZE)
            if not told:
                raise AssertionError("nobody knows how it ended")
            self._code = int(told)
            self._line.close()
        return self._code

    def terminate(self) -> None:
        """Ask it to end, if it has not."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def fork(
    program: str,
    command: Sequence[str],
    log: IO[bytes],
    *,
    environment: Mapping[str, str],
    folder: Path,
) -> Forked:
    """Start a program whose words go to a file.

    Args:
        program: OPERATOR, TEST_NODE or SERVER.
        command: its words, as in `sys.argv`.
        log: the file.
        environment: all of it.
        folder: to begin in; the operator's or server's kubeconfig is in there.
    """
    line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {
        "program": program,
        "command": list(command),
        "environment": dict(environment),
        "folder": str(folder),
    }
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
            env=os.environ | {"KUBECONFIG": KUBECONFIG, "PYTHONPATH": str(_TEST_NODE)},
            stdin=theirs,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(line.close)
    return line


def _serve(line: socket.socket) -> str:
    """Fork whenever it is asked for; give the child its program, and "" once nobody asks."""
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
            return ""
        teller, log = socket.socket(fileno=files[0]), files[1]
        if not (pid := os.fork()):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for each in (line, wakes, woken, *children.values()):
                each.close()
            with teller:
                program = _become(json.loads(asked), log)
                teller.send(str(os.getpid()).encode())
            return program
        children[pid] = teller
        os.close(log)


def _tell_of_ends(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with children.pop(pid) as teller, contextlib.suppress(OSError):
            teller.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict[str, Any], log: int) -> str:
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
    return str(asked["program"])


def _main() -> None:
    import factotum.gateway.cluster  # noqa: F401 - the server would load it later
    from factotum.controller.main import main as operator
    from factotum.gateway.main import run as server
    from test_node.__main__ import main as test_node

    program = _serve(socket.socket(fileno=os.dup(0)))
    if program:
        programs = {OPERATOR: operator, TEST_NODE: test_node, SERVER: lambda: server(sys.argv[2:])}
        sys.exit(programs[program]())


if __name__ == "__main__":
    _main()
