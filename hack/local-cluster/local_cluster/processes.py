"""Start, watch and end the processes of a cluster.

Every process carries its cluster's state folder in its environment. That mark, and not a file
of process ids, is how they are found again: it is there from the first moment, survives the
tool's own death by SIGKILL, passes on to children (containerd's shims) and cannot name a
stranger that took over a process id.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from local_cluster.api import UNREACHABLE
from local_cluster.errors import ClusterError, StartError

MARK = "FACTOTUM_LOCAL_CLUSTER"
_PATIENCE = 5
"""How often a program that gives up early is started again."""


def mark(state: Path) -> dict[str, str]:
    """Give the environment entry that makes a process the cluster's."""
    return {MARK: str(state)}


def log_tail(log: Path, lines: int = 15) -> str:
    """Give the last lines of a log file, or nothing if there is none."""
    with contextlib.suppress(FileNotFoundError), log.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines))
    return ""


class Processes:
    """The processes started by this run of the tool, for one cluster."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._impatient: dict[str, list[str | Path]] = {}
        self._left: dict[str, int] = {}

    def log(self, name: str) -> Path:
        """Give the log file of a program."""
        return self._state / "log" / f"{name}.log"

    def start_impatient(self, name: str, command: Iterable[str | Path]) -> None:
        """Start a program that ends if others do not answer soon: it is started again then.

        Not for ever, for it may end for a reason of its own.
        """
        self._impatient[name] = list(command)
        self._left[name] = _PATIENCE
        self.start(name, self._impatient[name])

    def start(self, name: str, command: Iterable[str | Path], **environment: str) -> None:
        """Start a program in a session of its own, so that it outlives this tool."""
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._started[name] = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._state,
                env=os.environ | environment | mark(self._state),
            )

    def pids(self) -> dict[str, int]:
        """Give the process id of each started program."""
        return {name: process.pid for name, process in self._started.items()}

    def check(self) -> None:
        """Raise if a program that was started is no longer there; start the impatient again."""
        for name, process in list(self._started.items()):
            code = process.poll()
            if code is None:
                continue
            if not self._left.get(name):
                raise StartError(name, f"ended with code {code}", log_tail(self.log(name)))
            self._left[name] -= 1
            self.start(name, self._impatient[name])

    def wait_until(
        self, name: str, ready: Callable[[], bool], *, seconds: float, what: str
    ) -> None:
        """Wait until `ready` says yes; blame the program `name` if it never does."""
        deadline = time.monotonic() + seconds
        while not _holds(ready):
            self.check()
            if time.monotonic() > deadline:
                raise StartError(
                    name, f"did not get to '{what}' in {seconds:.0f} s", log_tail(self.log(name))
                )
            time.sleep(0.05)


def _holds(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except UNREACHABLE:  # on a busy machine an answer may take too long: ask again
        return False


def marked(state: Path) -> list[int]:
    """Find the living processes that carry a cluster's mark."""
    wanted = f"{MARK}={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            # Gone meanwhile, or somebody else's: not ours.
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def kill(pids: Iterable[int]) -> None:
    """Send SIGKILL: what these processes would save on the way out is thrown away anyway."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_until_none(find: Callable[[], list[int]], *, seconds: float = 15.0) -> int:
    """Kill whatever `find` finds, until two looks in a row find nothing; give the count.

    Two, because a process may be between fork and exec at the first, unmarked still.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + seconds
    quiet = 0
    while quiet < 2:
        pids = find()
        quiet = 0 if pids else quiet + 1
        kill(pids)
        killed.update(pids)
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {pids} do not go away, even by SIGKILL")
        time.sleep(0.02)
    return len(killed)


def is_alive(pid: int, state: Path) -> bool:
    """Tell whether a process id still belongs to the cluster."""
    with contextlib.suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        return f"{MARK}={state}".encode() in environment.split(b"\0")
    return False
