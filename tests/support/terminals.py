"""A real terminal with a process, or an interactive shell, in a session of its own."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.commands import clean_environ, kill_session, own_effects, session_members

CTRL_C, CTRL_Z = "\x03", "\x1a"


class Terminal:
    """What a person sees and types."""

    def __init__(self, argv: Sequence[str], cwd: Path) -> None:
        self._main, other = pty.openpty()
        self.process = subprocess.Popen(
            [*own_effects(), "setsid", "--ctty", *argv],
            cwd=cwd,
            env=clean_environ(cwd, {"PS1": "", "PS2": "", "TERM": "dumb"}),
            stdin=other,
            stdout=other,
            stderr=other,
        )
        os.close(other)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def wait_for(self, text: str, seconds: float = 15) -> str:
        """Read until a text has been shown that was not before; return what came up to it."""
        limit = time.monotonic() + seconds
        while text not in self.shown:
            assert self._read(limit), f"no {text!r} within {seconds} s but {self.shown!r}"
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def _read(self, limit: float) -> bool:
        if not select.select([self._main], [], [], max(0, limit - time.monotonic()))[0]:
            return False
        try:
            part = os.read(self._main, 1 << 16)
        except OSError:
            return False  # how a terminal ends
        self.shown += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)

    def members(self) -> list[str]:
        """Return the command lines of what runs in the session, but its first process's."""
        return [_command_line(pid) for pid in self._others()]

    def find(self, part: str) -> int:
        """Return the one process whose command line has this in it."""
        (found,) = [pid for pid in self._others() if part in _command_line(pid)]
        return found

    def close(self) -> None:
        kill_session(self.process.pid)
        self.process.wait()
        os.close(self._main)

    def _others(self) -> list[int]:
        return [pid for pid in session_members(self.process.pid) if pid != self.process.pid]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@contextlib.contextmanager
def interactive_shell(cwd: Path) -> Iterator[Terminal]:
    """An interactive shell with job control: what is typed is run."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "--noediting", "-i"], cwd)
    try:
        terminal.type("stty -echo; set -b; echo rea''dy\n")
        terminal.wait_for("ready\n")
        yield terminal
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.close()
