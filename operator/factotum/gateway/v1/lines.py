"""A log as lines: where each is, and which of them hold a text. Read piece by piece, in threads.

Lines are numbered as in what is downloaded: where a log has lost its middle, what is left before
and behind it is one line. Nobody can see a terminal's escapes, nor what a carriage return wrote
over, so none of that is searched.
"""

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from factotum.jobs.views import LogPiece, LogQuery

_PIECE: Final = 1024 * 1024
_MAX_COUNTED: Final = 64 * 1024 * 1024
"""How far into a log lines are counted; beyond that they have no numbers."""
_PIECES_SEARCHED: Final = 8
"""How many pieces of a log one question searches; the next one goes on behind them."""
_SEARCHES: Final = 2
"""Searches that use the processor at the same time."""
_EXCERPT: Final = 200
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[PX^_][^\x1b\n]*(?:\x1b\\)?"
    r"|[ -/]*[0-~])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a line begins.

    Attributes:
        offset: of its first byte.
        line: its number, from 1; None: it is too far behind the beginning to be counted.
    """

    offset: int
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some lines of a log that follow each other.

    Attributes:
        text: them; the last one may go on behind it, or not be finished yet.
        first: where they begin.
        end: where the next part begins.
        wanted: the place that was asked for; None: there is no such line.
        piece: the log as it is.
    """

    text: str
    first: Place
    end: int
    wanted: Place | None
    piece: LogPiece


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line with the text that was looked for.

    Attributes:
        text: what can be seen of the line around it.
    """

    place: Place
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a part of a log holds of a text.

    Attributes:
        matches: lines, in order.
        next: where to go on.
        finished: whether that is the log's present end.
    """

    matches: tuple[Match, ...]
    next: Place
    finished: bool
    size: int


class Logs(Protocol):
    """What gives logs: the job service."""

    async def log(self, key: str, query: LogQuery) -> LogPiece:
        """Return a part of a log."""


class Lines:
    """Finds lines of logs. Belongs to one event loop.

    Args:
        service: gives the logs.
        piece: bytes that are read at a time.
    """

    def __init__(self, service: Logs, piece: int = _PIECE) -> None:
        self._service = service
        self._piece = piece
        self._searching = asyncio.Semaphore(_SEARCHES)

    async def part(self, key: str, query: LogQuery, *, line: int | None, before: int) -> Part:
        """Return lines around a place.

        Args:
            key: the job's.
            query: which log; ``offset`` is the place, unless a line is; ``limit`` bytes from there
                on, of which 0 may be. From the end, it begins with a whole line.
            line: a line's number.
            before: so many bytes before the place too, from a line's beginning on.

        Raises:
            JobsError: there is no such log.
        """
        wanted = None
        if line is None:
            place = wanted = await self._count(key, query)
        else:
            place = await self._find(key, query, line)
        begin = max(0, place.offset - before)
        is_whole = before > 0 or (line is None and query.offset < 0)
        if is_whole and begin:
            begin -= 1  # what is before it says whether it is a line's beginning
        while True:
            limit = max(1, place.offset - begin + query.limit)
            piece = await self._service.log(key, replace(query, offset=begin, limit=limit))
            end = piece.offset + len(piece.data)
            if not piece.data or end >= piece.size or end >= place.offset + min(1, query.limit):
                break
            begin = end  # the middle that was left out is between
        if line is not None and place.line == line and (not line > 1 or place.offset < piece.size):
            wanted = place
        return _Cut(
            piece,
            place,
            limit=query.limit,
            begins_whole=is_whole and 0 < piece.offset == begin,
            looks_back=before > 0,
            is_short=len(piece.data) < limit,
        ).part(wanted)

    async def _count(self, key: str, query: LogQuery) -> Place:
        """Return the place of an offset, with its line's number.

        Where nothing from there on is wanted, it is the place behind what is kept before it.
        """
        size = (await self._service.log(key, replace(query, offset=0, limit=1))).size
        offset = query.offset if query.offset >= 0 else max(0, size + query.offset)
        offset = min(offset, size)
        if offset > _MAX_COUNTED:
            return Place(offset=offset, line=None)
        number, end = 1, 0
        async for piece in self._pieces(key, query, 0, offset):
            number += await asyncio.to_thread(piece.data.count, b"\n")
            end = piece.offset + len(piece.data)
        return Place(offset=offset if query.limit else end, line=number)

    async def _find(self, key: str, query: LogQuery, line: int) -> Place:
        """Return a line's place, or the last line's that was counted."""
        last = Place(offset=0, line=1)
        left = line - 1
        if not left:
            return last
        async for piece in self._pieces(key, query, 0, _MAX_COUNTED):
            count, at = await asyncio.to_thread(_skip, piece.data, left)
            if at >= 0:
                last = Place(offset=piece.offset + at, line=line - left + count)
            left -= count
            if not left:
                break
        return last

    async def _pieces(
        self, key: str, query: LogQuery, begin: int, end: int
    ) -> AsyncIterator[LogPiece]:
        while begin < end:
            asked = replace(query, offset=begin, limit=min(self._piece, end - begin))
            piece = await self._service.log(key, asked)
            if piece.offset >= end or not piece.data:
                return
            if piece.offset + len(piece.data) > end:  # it begins behind a gap
                piece = replace(piece, data=piece.data[: end - piece.offset])
            yield piece
            begin = piece.offset + len(piece.data)

    async def search(
        self, key: str, query: LogQuery, begin: Place, *, text: str, is_exact: bool, most: int
    ) -> Found:
        """Look for a text in a part of a log.

        Args:
            key: the job's.
            query: which log.
            begin: where to begin, at a line's beginning.
            text: what to look for, within a line.
            is_exact: whether capitals matter.
            most: so many matches and no more.

        Raises:
            JobsError: there is no such log.
        """
        async with self._searching:
            search = _Search(text, begin, most, is_exact=is_exact, longest=self._piece)
            offset, end = begin.offset, begin.offset + _PIECES_SEARCHED * self._piece
            while True:
                piece = await self._service.log(
                    key, replace(query, offset=offset, limit=self._piece)
                )
                if piece.data:
                    await asyncio.to_thread(search.take, piece)
                offset = piece.offset + len(piece.data)
                if search.is_full:
                    return search.found(piece.size, finished=False)
                if not piece.data or offset >= piece.size:
                    search.end()
                    return search.found(piece.size, finished=not search.is_full)
                if offset >= end:
                    return search.found(piece.size, finished=False)


def _skip(data: bytes, lines: int) -> tuple[int, int]:
    """Skip lines; return how many there were, and where the one behind them begins; -1: none."""
    count = data.count(b"\n")
    if count < lines:
        return count, data.rfind(b"\n") + 1 or -1
    at = -1
    for _ in range(lines):
        at = data.index(b"\n", at + 1)
    return lines, at + 1


class _Cut:
    """Cuts a piece to whole lines, as far as it has some.

    Args:
        piece: what was read.
        place: what was asked for.
        limit: so many bytes from there on were.
        begins_whole: whether to begin with a whole line; its first byte is what is before.
        looks_back: whether that line is to begin before the place.
        is_short: whether it ends where the log does, or a part of it.
    """

    def __init__(
        self,
        piece: LogPiece,
        place: Place,
        *,
        limit: int,
        begins_whole: bool,
        looks_back: bool,
        is_short: bool,
    ) -> None:
        self._piece, self._place = piece, place
        data = piece.data
        self._until = min(len(data), max(0, place.offset - piece.offset))
        self._begin, self._end = 0, len(data)
        if begins_whole:
            # The last one of all would leave nothing.
            stop = self._until if looks_back else len(data)
            newline = data.find(b"\n", 0, max(0, stop - 1))
            self._begin = newline + 1 if newline >= 0 else _behind_character(data)
        if limit == 0:
            self._end = self._until
        elif not is_short:
            newline = data.rfind(b"\n", max(self._begin, self._until))
            self._end = newline + 1 if newline >= 0 else len(data)

    def part(self, wanted: Place | None) -> Part:
        """Return it as text."""
        data, begin, until = self._piece.data, self._begin, self._until
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data[begin : self._end])
        end = self._end - len(decoder.getstate()[0])
        number = self._place.line
        if number is not None:
            number -= data.count(b"\n", begin, until)
            number += data.count(b"\n", until, begin)
        offset = self._piece.offset
        if wanted is not None and wanted.offset < offset:
            wanted = replace(wanted, offset=offset)  # where it goes on, behind the middle
        return Part(
            text=text,
            first=Place(offset=offset + begin, line=number),
            end=offset + end,
            wanted=wanted,
            piece=self._piece,
        )


def _behind_character(data: bytes) -> int:
    """Return where the first whole character begins."""
    at = 0
    while at < min(4, len(data)) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def visible(line: str) -> str:
    """Return what a terminal would still show of a line."""
    whole = line.removesuffix("\r")
    return _ESCAPES.sub("", whole[whole.rfind("\r") + 1 :])


class _Search:
    """A search on its way through a log."""

    def __init__(self, text: str, begin: Place, most: int, *, is_exact: bool, longest: int) -> None:
        self._is_exact = is_exact
        self._longest = longest  # line that is searched as one
        self._wanted = self._folded(text)
        self._most = most
        self._matches: list[Match] = []
        self._rest = b""
        self._begin = begin  # of the line that ``_rest`` begins
        self._end = begin.offset

    @property
    def is_full(self) -> bool:
        return len(self._matches) >= self._most

    def found(self, size: int, *, finished: bool) -> Found:
        return Found(matches=tuple(self._matches), next=self._begin, finished=finished, size=size)

    def _folded(self, text: str) -> str:
        return text if self._is_exact else text.lower()

    def take(self, piece: LogPiece) -> None:
        """Search the lines that have an end; one that is very long is searched in parts."""
        if not self._rest:
            self._begin = replace(self._begin, offset=piece.offset)
        data = self._rest + piece.data
        shift = piece.offset - len(self._rest)
        self._end = piece.offset + len(piece.data)
        newline = data.rfind(b"\n") + 1
        if not newline and len(data) > self._longest:
            newline = len(data)
        self._rest = data[newline:]
        if newline:
            self._look(data[:newline], shift)

    def end(self) -> None:
        """Search the line that has no end yet; a search that goes on begins with it again."""
        begin = self._begin
        if self._rest and not self.is_full:
            self._look(self._rest, self._end - len(self._rest))
            if not self.is_full:
                self._begin = begin

    def _look(self, data: bytes, shift: int) -> None:
        """Search lines. All but the first one are at ``shift`` and their place in ``data``."""
        text = data.decode("utf-8", "replace")
        shown = _ESCAPES.sub("", text) if "\x1b" in text else text
        end = Place(offset=shift + len(data), line=self._behind(data.count(b"\n")))
        if self._wanted in self._folded(shown) and self._finds_most(data, shift):
            return
        self._begin = end

    def _behind(self, lines: int) -> int | None:
        return None if self._begin.line is None else self._begin.line + lines

    def _finds_most(self, data: bytes, shift: int) -> bool:
        """Look at each line; tell whether that was enough, and the place behind it is noted."""
        at, offset = 0, self._begin.offset
        for count, raw in enumerate(data.removesuffix(b"\n").split(b"\n")):
            line = visible(raw.decode("utf-8", "replace"))
            found = self._folded(line).find(self._wanted)
            at += len(raw) + 1
            if found >= 0:
                excerpt = line[max(0, found - _EXCERPT // 4) :][:_EXCERPT]
                place = Place(offset=offset, line=self._behind(count))
                self._matches.append(Match(place=place, text=excerpt))
                if self.is_full:
                    end = min(at, len(data))
                    passed = data.count(b"\n", 0, end)
                    self._begin = Place(offset=shift + end, line=self._behind(passed))
                    return True
            offset = shift + at
        return False
