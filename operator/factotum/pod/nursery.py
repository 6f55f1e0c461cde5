"""A process that has everything loaded and forks runners, each at once and not after a start-up.

Single-threaded, so that forking is safe, and it holds nothing that a runner could
spoil. Told over a socket (standard input, one message a packet) what to start, it
answers with process ids, and later with how they ended. When the server that made
it is gone it ends, too; its runners go on and belong to nobody: they have their
files, and ask for the next server.
"""

from __future__ import annotations

import contextlib
import ctypes  # noqa: F401 - as are those below: a runner imports them late
import encodings.ascii
import encodings.latin_1  # noqa: F401
import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
import time

# What a runner imports late, to save others its time, is loaded here once for all.
import factotum.core.run.summary
import factotum.core.wire.termination
import factotum.events.webhook
import factotum.pod.job  # noqa: F401
from factotum.core.factfile import references
from factotum.pod import work
from factotum.pod.claiming import EXIT_UNSTARTED
from factotum.pod.surroundings import Surroundings
from factotum.pod.task_logs import WHOLE, FileConsole, OutputFile
from factotum.runner import inherited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MESSAGE_BYTES = 64 * 1024
LOCK = "lock"
"""The file that a runner holds locked as long as it lives; the kernel lets go of it for us.

In it is the runner's process id, for the server to signal it by.
"""
_PID_DIGITS = 10
_LOCK_TRIES, _LOCK_PAUSE_SECONDS = 10, 0.02
_KILLED_FIRST = b"300"
"""Which process the kernel should end when memory is short: a job rather than the server."""


class Nursery:
    """Starts runners and buries them.

    Args:
        control: where the server speaks; one message a packet, JSON.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._names: dict[int, str] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Do as told until the server is gone."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The server says when it is over. Held back, not ignored: a runner that was just forked
        # hears what came to it until it listens.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        while True:
            ready, _, _ = select.select([self._control, self._wake_read], [], [])
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._bury()
            if self._control in ready:
                message = self._control.recv(MESSAGE_BYTES)
                if not message:
                    return
                self._start(json.loads(message))

    def _start(self, order: dict[str, Any]) -> None:
        name = order["name"]
        try:
            pid = os.fork()
        except OSError as error:
            self._tell({"failed": name, "problem": str(error)})
            return
        if pid:
            self._names[pid] = name
            self._tell({"started": name, "pid": pid})
            return
        code = EXIT_UNSTARTED
        try:
            self._let_go()
            code = _run(order["folder"], order["environ"])
        except BaseException:  # noqa: BLE001 - nobody is left to raise it to
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _let_go(self) -> None:
        """Become a process that has nothing to do with the nursery any more."""
        inherited.listen_to_signals()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        os.setsid()  # a Ctrl-C in the server's terminal is not for its jobs
        nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)

    def _bury(self) -> None:
        while self._names:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            name = self._names.pop(pid, "")
            self._tell({"ended": name, "status": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the server is gone: the next look ends us
            self._control.send(json.dumps(message).encode())


def _run(folder: str, environ: dict[str, str]) -> int:
    """Be a runner; its lock says that it lives."""
    lock = os.open(f"{folder}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _take(lock):
        return EXIT_UNSTARTED  # another one lives there
    with contextlib.suppress(OSError):  # a full disk: it hears what is wanted with its next report
        os.pwrite(lock, f"{os.getpid():0{_PID_DIGITS}}".encode(), 0)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:  # noqa: PTH123
        file.write(_KILLED_FIRST)
    surroundings = Surroundings({**os.environ, **environ})
    console = FileConsole(OutputFile(folder, WHOLE, surroundings.log_size))
    return work.run(surroundings, console)


def _take(lock: int) -> bool:
    """Lock; a server that only looks holds it for an instant."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return True
    return False


def main() -> None:
    """Serve the server that started us."""
    control = socket.socket(fileno=os.dup(0))
    # What is loaded is never looked at again by the collector, so a runner's copy of its
    # memory stays the same memory.
    references.content_hash("")
    gc.collect()
    gc.freeze()
    Nursery(control).serve()
