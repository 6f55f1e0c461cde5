"""Starts a task's shell and tells when it has ended and said all it had to say."""

from __future__ import annotations

import os
from time import monotonic_ns

from factotum.core.errors import FactotumError
from factotum.runner.console import encode
from factotum.runner.lines import LineStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from factotum.core.run.execution import TaskRun
    from factotum.runner.loop import Loop

_CHUNK = 1 << 16  # what a pipe holds
_SIGPIPE, _SIGXFSZ = 13, 25  # Python ignores these; tasks must not


class SpawnError(FactotumError):
    """A task's process could not be started."""

    def __init__(self, detail: str, *, may_pass: bool = False) -> None:
        super().__init__(f"Error executing process - {detail}")
        self.may_pass = may_pass
        """Whether it may work once other tasks have given something back."""


class ShellSpawner:
    """Starts ``sh -c LINE`` with given surroundings.

    Args:
        environ: The tasks' environment; its PATH is where `sh` is looked for.
        own_groups: Whether each task leads a process group of its own, so
            that a shutdown reaches everything it has started.
    """

    def __init__(
        self, environ: Mapping[str, str] | Mapping[bytes, bytes], *, own_groups: bool = True
    ) -> None:
        # Encoded once, not for each task. An empty name (Wine and others make such entries)
        # cannot be handed on, and no shell would.
        self._environ = {
            os.fsencode(key): os.fsencode(value) for key, value in environ.items() if key
        }
        self._path = self._environ.get(b"PATH", b"/bin:/usr/bin")
        self._shell: bytes | None = None
        self._options: dict[str, Any] = {"setpgroup": 0} if own_groups else {}

    def spawn(self, line: str, out_fd: int, err_fd: int) -> int:
        """Start a process that writes to these descriptors and return its id.

        Raises:
            SpawnError: It could not be started.
        """
        if "\0" in line:
            raise SpawnError("nul byte found in provided data")
        try:
            if self._shell is None:
                self._shell = _find_shell(self._path)
            return os.posix_spawn(
                self._shell,
                (b"sh", b"-c", encode(line)),
                self._environ,
                file_actions=((os.POSIX_SPAWN_DUP2, out_fd, 1), (os.POSIX_SPAWN_DUP2, err_fd, 2)),
                setsigmask=(),
                setsigdef=(_SIGPIPE, _SIGXFSZ),
                **self._options,
            )
        except OSError as error:
            raise to_spawn_error(error) from None


def to_spawn_error(error: OSError) -> SpawnError:
    """Return the error in the original's words."""
    import errno

    # EAGAIN: no more processes; EMFILE, ENFILE: no more descriptors.
    passing = error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
    return SpawnError(_describe(error), may_pass=passing)


def _describe(error: OSError) -> str:
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def _find_shell(search_path: bytes) -> bytes:
    """Return the `sh` that PATH leads to; the error is the one exec would give."""
    refused = False
    for folder in search_path.split(b":"):
        path = (folder or b".") + b"/sh"
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112 - pathlib costs start-up
            return path
        refused = refused or os.path.exists(path)  # noqa: PTH110 - as above
    if refused:
        raise PermissionError(13, "Permission denied")
    raise FileNotFoundError(2, "No such file or directory")


class Process:
    """A task that has been started, until its end is noticed.

    It has ended when both of its pipes are closed (by everything it has
    started, too) and the shell itself has been reaped. Its duration is the
    shell's alone.
    """

    __slots__ = (
        "_loop",
        "_on_end",
        "_open",
        "duration_ns",
        "ended",
        "error_text",
        "pid",
        "run",
        "started_ns",
        "status",
    )

    def __init__(
        self, run: TaskRun, loop: Loop, started_ns: int, on_end: Callable[[Process], None]
    ) -> None:
        self.run = run
        self.pid = 0
        self.started_ns = started_ns
        self.status: int | None = None
        self.error_text: str | None = None
        """Why nobody knows how it ended."""
        self.ended = False
        self.duration_ns = 0
        self._loop = loop
        self._on_end = on_end
        self._open: list[tuple[int, LineStream]] = []

    def start(self, spawner: ShellSpawner, out: LineStream, err: LineStream) -> None:
        """Start the shell and listen to it.

        Raises:
            SpawnError: It could not be started; nothing is left open.
        """
        fds: list[int] = []
        try:
            fds += os.pipe()
            fds += os.pipe()
            # Before there is a process: it must not run where nobody can listen to it.
            self._listen(fds[0], out)
            self._listen(fds[2], err)
            self.pid = spawner.spawn(self.run.task.command_line, fds[1], fds[3])
        except OSError as error:
            self._discard(fds)
            raise to_spawn_error(error) from None
        except SpawnError:
            self._discard(fds)
            raise
        _close((fds[1], fds[3]))

    @property
    def return_code(self) -> int:
        """The exit status; 1 for a death by signal, as the original has it."""
        if self.error_text is not None:
            return -1
        code = os.waitstatus_to_exitcode(self.status or 0)
        return code if code >= 0 else 1

    @property
    def death_signal(self) -> int | None:
        """The signal that ended the shell, if one did."""
        code = os.waitstatus_to_exitcode(self.status or 0)
        return -code if code < 0 else None

    def reap(self) -> bool:
        """Take the exit status if the shell has ended; say whether it has."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError as error:  # somebody else took it, and the code with it
                pid, status = self.pid, 0
                self.error_text = f"Error waiting for process - {_describe(error)}"
            if pid:
                self.status = status
                self.duration_ns = monotonic_ns() - self.started_ns
        return self.status is not None

    def look(self) -> None:
        """See whether it has ended."""
        if not self.ended and self.reap() and not self._open:
            self.ended = True
            self._on_end(self)

    def abandon(self) -> None:
        """Stop listening to what is left of a task that was killed."""
        while self._open:
            self._close_stream(*self._open[-1])
        self.look()

    def _listen(self, fd: int, stream: LineStream) -> None:
        is_paused = False

        def resume() -> None:
            nonlocal is_paused
            is_paused = False
            if (fd, stream) in self._open:
                self._loop.resume_reader(fd)

        def read() -> None:
            nonlocal is_paused
            chunk = os.read(fd, _CHUNK)
            if chunk:
                stream.feed(chunk)
                if stream.is_held_up and not is_paused:
                    # The task then waits, as for any reader of a pipe; its end still shows.
                    is_paused = True
                    self._loop.pause_reader(fd)
                    stream.call_when_room(lambda: self._loop.call_soon_threadsafe(resume))
            else:
                self._close_stream(fd, stream)
                # Usually the shell is dead by now; if it lives on, the system tells of its end.
                self.look()

        self._loop.add_reader(fd, read)
        self._open.append((fd, stream))

    def _close_stream(self, fd: int, stream: LineStream) -> None:
        self._loop.remove_reader(fd)
        os.close(fd)
        self._open.remove((fd, stream))
        stream.finish()

    def _discard(self, fds: list[int]) -> None:
        for fd, _ in self._open:
            self._loop.remove_reader(fd)
        self._open.clear()
        _close(fds)


def _close(fds: list[int] | tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)
