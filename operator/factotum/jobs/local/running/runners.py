"""The process that forks our runners (``pod.nursery``), from the server's side.

Started with the server, again whenever it has ended. Runners do not depend on
it: how they end is told by it if it can, and by their locks in any case.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from factotum.jobs.errors import BackendError

logger = logging.getLogger(__name__)

_MESSAGE_BYTES: Final = 64 * 1024
_PROGRAM: Final = (
    "from factotum.runner import inherited; inherited.keep_to_own_modules();"
    " from factotum.pod.nursery import main; main()"
)
_BUFFER_BYTES: Final = 1 << 20
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_LAST_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 30.0
"""After which a process that has not answered will not do so any more: it was stopped, for one."""


class Runners:
    """Starts runners. Belongs to one event loop.

    Args:
        on_end: is told the name and exit status of a runner that has ended.
        on_failure: is told the name of a runner that there is not: nothing was forked.
        errors: a file for what a runner says that cannot even begin.
    """

    def __init__(
        self,
        on_end: Callable[[str, int], None],
        on_failure: Callable[[str], None],
        errors: Path,
    ) -> None:
        self._on_end = on_end
        self._on_failure = on_failure
        self._errors = errors
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._sending = asyncio.Lock()
        self._asked: dict[str, float] = {}
        """Runners of which nothing was heard yet, and since when."""
        self.was_up = False
        """Whether it was ever started."""

    @property
    def is_up(self) -> bool:
        """Whether it is there to tell how runners end."""
        return self._line is not None

    def start_up(self) -> None:
        """Have the process ready."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        with theirs, open(os.open(self._errors, _APPEND, 0o600), "ab") as errors:  # noqa: PTH123
            # Isolated from the user's folder: a file there must not take a module's place.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self._line = ours
        self.was_up = True
        asyncio.get_running_loop().add_reader(ours, self._hear, ours)

    async def shut_down(self) -> None:
        """Let the process end; runners go on."""
        process, self._process = self._process, None
        self._hang_up()
        if process is not None:
            await asyncio.to_thread(_see_off, process)

    async def start(self, name: str, folder: Path, environ: Mapping[str, str]) -> None:
        """Start a runner.

        Args:
            name: by which its end is told.
            folder: the attempt's.
            environ: variables over the server's own.

        Raises:
            BackendError: it may not have been started.
        """
        message = json.dumps({"name": name, "folder": str(folder), "environ": dict(environ)})
        async with self._sending:
            try:
                if self._line is None:
                    self.start_up()
                assert self._line is not None, "it was started"  # noqa: S101 - for mypy
                await asyncio.get_running_loop().sock_sendall(self._line, message.encode())
                self._asked[name] = time.monotonic()
            except OSError as error:
                self._hang_up()
                raise BackendError(f"no runner can be started: {error}") from error

    def _hear(self, line: socket.socket) -> None:
        for _ in range(64):
            try:
                message = line.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                if line is self._line:
                    logger.error("the process that starts runners has ended; it is started again")
                    self._hang_up()
                return
            self._take(json.loads(message))

    def _take(self, told: Mapping[str, Any]) -> None:
        if "started" in told:
            self._asked.pop(told["started"], None)
        elif "ended" in told:
            self._on_end(told["ended"], told["status"])
        elif "failed" in told:
            self._asked.pop(told["failed"], None)
            logger.error("runner %s was not started: %s", told["failed"], told["problem"])
            self._on_failure(told["failed"])

    def look_after(self) -> None:
        """End the process if it does not answer: another one is started, and no runner ends."""
        now = time.monotonic()
        if self._process is None or all(
            now - since < _SILENT_SECONDS for since in self._asked.values()
        ):
            return
        logger.error("the process that starts runners does not answer: it is ended")
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)
        self._hang_up()

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        self._asked.clear()
        if line is not None:
            asyncio.get_running_loop().remove_reader(line)
            line.close()
        process = self._process
        if process is not None and line is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0)


def _see_off(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has been told to end; one that was stopped cannot."""
    try:
        process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
