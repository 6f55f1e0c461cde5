"""Turns what a task writes into prefixed lines for the console, and a tail for events.

Works on chunks of bytes, not on single lines, and holds no more than a part
of a line: a task may write gigabytes, also without any line feed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from factotum.core.run.output import OutputTail
    from factotum.runner.console import Console

LONG_LINE = 64 * 1024
"""A line longer than this many bytes is passed on in pieces."""


class LineStream:
    """One of the two output streams of one task."""

    __slots__ = ("_begin", "_carry", "_console", "_end", "_fd", "_is_open", "_tail")

    def __init__(
        self, console: Console, fd: int, begin: bytes, end: bytes, tail: OutputTail | None
    ) -> None:
        self._console = console
        self._fd = fd
        self._begin = begin
        self._end = end
        self._tail = tail
        self._carry = b""
        self._is_open = False  # whether the beginning of a long line has been passed on

    @property
    def is_held_up(self) -> bool:
        """Whether the console's reader should take something before more is read."""
        return self._console.is_full(self._fd)

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call back once it has, in any thread."""
        self._console.call_when_room(self._fd, callback)

    def feed(self, chunk: bytes) -> None:
        """Take what was read."""
        if self._carry:
            chunk = self._carry + chunk
            self._carry = b""
        cut = chunk.rfind(b"\n") + 1
        if cut:
            lines = chunk[:cut]
            self._lines(lines.replace(b"\r\n", b"\n") if b"\r\n" in lines else lines)
            chunk = chunk[cut:]
        if len(chunk) <= LONG_LINE:
            self._carry = chunk
        else:
            cut = len(chunk) - _incomplete(chunk)
            self._carry = chunk[cut:]
            self._part(chunk[:cut])

    def finish(self) -> None:
        """Pass on what stands behind the last line feed: it is a line as well."""
        if self._carry or self._is_open:
            self._lines(self._carry + b"\n")
            self._carry = b""

    def _lines(self, lines: bytes) -> None:
        lines = _clean(lines)
        if self._tail is not None:
            self._tail.append(lines)
        if self._is_open:
            first, _, lines = lines.partition(b"\n")
            if first:
                self._part_to_console(first)
            self._console.end_part(self._fd, self)
            self._is_open = False
            if not lines:
                return
        begin, end = self._begin, self._end
        body = lines[:-1].replace(b"\n", end + b"\n" + begin)
        self._console.write(self._fd, begin + body + end + b"\n")

    def _part(self, part: bytes) -> None:
        part = _clean(part)
        if self._tail is not None:
            self._tail.append(part)
        self._is_open = True
        self._part_to_console(part)

    def _part_to_console(self, part: bytes) -> None:
        self._console.write_part(self._fd, self, self._begin, part + self._end)


def _clean(text: bytes) -> bytes:
    """Return the text with what is not UTF-8 replaced (the original drops such lines, Q9)."""
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text


def _incomplete(chunk: bytes) -> int:
    """Return how many bytes at the end may belong to a character or line end to come."""
    if chunk.endswith(b"\r"):
        return 1
    for count in (1, 2, 3):
        byte = chunk[-count]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return count if length > count else 0
    return 0
