"""Writes to standard output and standard error, batched, in order, and coloured or not.

Lines for one stream are gathered until the loop is about to sleep, or until
the other stream is written to. When the reader of a stream has gone away the
rest for it is dropped quietly: the job goes on and keeps its exit code (Q21).
A reader that is slow is waited for at the end only, in `finish`.
"""

from __future__ import annotations

import os

from factotum.runner.outlet import Outlets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from factotum.runner.outlet import Outlet

LAST_WAIT_SECONDS = 1.0
"""How long readers may take once everything else is done and a signal has come."""

_FLUSH_SIZE = 1 << 16

_RED, _GREEN, _YELLOW, _CYAN = "31", "32", "33", "36"


def wants_colour(environ: Mapping[str, str], *, no_colour: bool, is_terminal: bool) -> bool:
    """Decide about colour once, as the original does but that --no-colour wins (Q10)."""
    if no_colour:
        return False
    forced = environ.get("CLICOLOR_FORCE")
    if forced is not None and forced != "0":
        return True
    if "NO_COLOR" in environ:
        return False
    return environ.get("CLICOLOR") != "0" and is_terminal


class Console:
    """The two streams that a person reads."""

    def __init__(self, *, colour: bool, out_fd: int = 1, err_fd: int = 2) -> None:
        self.colour = colour
        self.out_fd = out_fd
        self.err_fd = err_fd
        self._fd = out_fd
        self._parts: list[bytes] = []
        self._size = 0
        self._open_lines: dict[int, object] = {}  # whose unfinished line a stream ends with
        self._product_fd = out_fd  # where results go, even when our own lines go elsewhere
        self._lost = 0
        self._told: set[int] = set()  # the streams whose failure has been told of
        self.outlets = Outlets()
        self.carries_result = True
        """Whether a command whose output cannot be written has not done what was asked for."""

    def out(self, text: str) -> None:
        """Write text to standard output as it is."""
        self.write(self.out_fd, encode(text))

    def err(self, text: str) -> None:
        """Write text to standard error as it is."""
        self.write(self.err_fd, encode(text))

    def red(self, text: str) -> str:
        """Return the text in red, if there is colour."""
        return self._paint(_RED, text)

    def green(self, text: str) -> str:
        """Return the text in green, if there is colour."""
        return self._paint(_GREEN, text)

    def yellow(self, text: str) -> str:
        """Return the text in yellow, if there is colour."""
        return self._paint(_YELLOW, text)

    def cyan(self, text: str) -> str:
        """Return the text in cyan, if there is colour."""
        return self._paint(_CYAN, text)

    def write(self, fd: int, data: bytes) -> None:
        """Write whole lines, behind the end of a line that another writer left open."""
        if self._open_lines and self._open_lines.pop(fd, None) is not None:
            data = b"\n" + data
        self._put(fd, data)

    def write_part(self, fd: int, writer: object, lead: bytes, data: bytes) -> None:
        """Write a piece of a line that is too long to be held; `lead` begins each line."""
        if self._open_lines.get(fd) is writer:
            self._put(fd, data)
        else:
            self.write(fd, lead + data)
            self._open_lines[fd] = writer

    def end_part(self, fd: int, writer: object) -> None:
        """End the line that was written in pieces."""
        if self._open_lines.get(fd) is writer:
            del self._open_lines[fd]
            self._put(fd, b"\n")

    def flush(self) -> None:
        """Hand everything gathered so far to the system; what a reader does not take is kept."""
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        outlet = self.outlets.at(self._fd)
        outlet.write(data)
        if outlet.failure is not None and self._fd not in self._told:
            self._tell_failure(self._fd, outlet.failure)

    def is_full(self, fd: int) -> bool:
        """Whether so much is kept for the stream's reader that more of it had better wait."""
        return self.outlets.at(fd).is_full

    def call_when_room(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back once the stream's reader has taken most of it, in any thread."""
        self.outlets.at(fd).call_when_room(callback)

    def find_backlog(self) -> Outlet | None:
        """Return where too much is kept for anything to be begun, if there is such a place."""
        for fd in (self.out_fd, self.err_fd):
            outlet = self.outlets.at(fd)
            if outlet.has_backlog:
                return outlet
        return None

    def finish(self) -> bool:
        """Wait until all is written, and say whether what could not be is no more than unread."""
        self.flush()
        self.outlets.wait()
        lost = self.outlets.at(self._product_fd).lost
        if lost and self._product_fd != self.err_fd:
            self._lost += lost
            self.err(f"{lost} bytes of standard output are lost\n")
            self.flush()
            self.outlets.wait()
        self.outlets.close()
        return not self._lost

    def _tell_failure(self, fd: int, failure: OSError) -> None:
        self._told.add(fd)
        if fd != self.err_fd:
            reason = f"{os.strerror(failure.errno or 0)} (os error {failure.errno})"
            self.err(self.red(f"Error: standard output cannot be written: {reason}") + "\n")
            self.flush()

    def _put(self, fd: int, data: bytes) -> None:
        if fd != self._fd:
            self.flush()
            self._fd = fd
        self._parts.append(data)
        self._size += len(data)
        if self._size > _FLUSH_SIZE:
            self.flush()

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def encode(text: str) -> bytes:
    """Return the bytes of a text; those of an argument that is not UTF-8 come out again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
