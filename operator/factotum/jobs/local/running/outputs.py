"""Reading logs: any part of an output that may still grow, and may have lost its middle."""

import os
from collections.abc import Iterable
from pathlib import Path

from factotum.jobs.views import LogPiece


def read(
    pieces: Iterable[tuple[int, Path]], offset: int, limit: int, *, complete: bool
) -> LogPiece:
    """Read a part of an output.

    Args:
        pieces: its files by the place of their first byte, in order.
        offset: where to begin; negative: so many bytes before the end.
        limit: at most so many bytes.
        complete: whether it does not grow any more.
    """
    sized = [(start, _size(path), path) for start, path in pieces]
    end = sized[-1][0] + sized[-1][1] if sized else 0
    begin = max(0, end + offset) if offset < 0 else min(offset, end)
    kept = sum(size for _, size, _ in sized)
    data = bytearray()
    place = begin
    for start, size, path in sized:
        if start + size <= place or len(data) >= limit:
            continue
        if start > place:
            if data:
                break  # a gap: the next question begins behind it
            place = begin = start
        data += _read(path, place - start, limit - len(data))
        place = begin + len(data)
    return LogPiece(data=bytes(data), offset=begin, size=end, complete=complete, dropped=end - kept)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, begin: int, limit: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""  # dropped meanwhile
    try:
        return os.pread(descriptor, limit, begin)
    finally:
        os.close(descriptor)
