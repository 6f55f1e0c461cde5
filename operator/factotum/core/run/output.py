"""The end of what a task wrote, kept for events in bounded memory."""

from __future__ import annotations


class OutputTail:
    """The last characters of one stream, fed with whole lines of valid UTF-8."""

    __slots__ = ("_capacity", "_kept", "_limit", "_significant")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A character takes at most four bytes, and the last line feed does not count.
        self._capacity = 4 * (limit + 1)
        self._kept = bytearray()
        self._significant = 0  # bytes seen so far, as far as they matter: 0, 1 or 2

    def append(self, lines: bytes) -> None:
        """Add text; memory stays within twice what may be asked for."""
        if self._significant < 2:
            self._significant += len(lines) if lines != b"\n" else 1
        if len(lines) >= self._capacity:
            self._kept[:] = lines[-self._capacity :]
            return
        self._kept += lines
        if len(self._kept) > 2 * self._capacity:
            del self._kept[: -self._capacity]

    def text(self) -> str | None:
        """Return the lines joined by line feeds, cut to the last characters.

        None if there was nothing, or only one empty line.
        """
        if not self._significant or (self._significant == 1 and self._kept == b"\n"):
            return None
        kept = self._kept.removesuffix(b"\n")
        begin = 0
        while begin < len(kept) and kept[begin] & 0xC0 == 0x80:
            begin += 1  # the cut went through a character
        return kept[begin:].decode()[-self._limit :] if self._limit else ""
