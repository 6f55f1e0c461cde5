"""The runner of one Pod as a local process: the test node's container runtime.

A container's death takes all its processes along; here they are found by a variable in their
environment, as they may have left the runner's process group.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from test_node import statuses
from test_node.statuses import Ending

MARK = "FACTOTUM_TEST_NODE_CONTAINER"


def timestamp() -> str:
    """Give the present as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Container(Protocol):
    """What the node needs of a container."""

    async def wait(self) -> Ending:
        """Wait for the end and say how it was."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""

    def kill(self, reason: str = "") -> None:
        """End it with all its processes; `reason` as a kubelet would give it (OOMKilled)."""


class Player(Protocol):
    """Plays runners instead of running them; `test_node.replay` has one."""

    def container(self, variables: Mapping[str, str], token: str) -> Container:
        """Start to play the runner of a Pod with these variables and this token."""


class Instant:
    """A container that does nothing and does it well: for Pods that are not runners."""

    async def wait(self) -> Ending:
        """Succeed at once."""
        now = timestamp()
        return Ending(0, now, now)

    def terminate(self) -> None:
        """Nothing to do."""

    def kill(self, reason: str = "") -> None:
        """Nothing to do."""


class RunnerProcess:
    """One process of the real runner."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str, message_log: Path) -> None:
        self._process = process
        self._mark = mark
        self._message_log = message_log
        self._started_at = timestamp()
        self._reason = ""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], variables: Mapping[str, str], folder: Path, *, number: int
    ) -> "RunnerProcess":
        """Start a runner in a Pod's folder; `number` tells apart several in one Pod."""
        mark = f"{folder.name}-{number}"
        message_log = folder / f"termination-log-{number}"
        message_log.touch()
        places = {name: folder / name for name in ("work", "tmp")}
        for place in places.values():
            place.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(places["work"]),
            "TMPDIR": str(places["tmp"]),
            **variables,
            "FACTOTUM_TERMINATION_LOG": str(message_log),
            MARK: mark,
        }
        with (folder / f"log-{number}").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=places["work"],
                env=environment,
                start_new_session=True,
            )
        return cls(process, mark, message_log)

    async def wait(self) -> Ending:
        """Wait for the runner, then end what it left behind."""
        code = await self._process.wait()
        self._kill_rest()
        return Ending(
            exit_code=128 - code if code < 0 else code,
            started_at=self._started_at,
            finished_at=timestamp(),
            message=statuses.cut_message(self._message_log.read_bytes()),
            reason=self._reason,
        )

    def terminate(self) -> None:
        """Ask the runner to end."""
        self._signal(signal.SIGTERM)

    def kill(self, reason: str = "") -> None:
        """Kill the runner; its tasks die with it."""
        self._reason = reason
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _kill_rest(self) -> None:
        wanted = f"{MARK}={self._mark}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                # Gone meanwhile, or somebody else's: not ours.
                with contextlib.suppress(OSError):
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(int(entry.name), signal.SIGKILL)
