"""The resources of logs: bytes as they were printed, as a stream, by lines, and searched."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from factotum.gateway.v1 import problems
from factotum.gateway.v1.lines import Found, Match, Part, Place
from factotum.gateway.v1.models import Value
from factotum.gateway.v1.resources import (
    MAX_OFFSET,
    STREAMED,
    AttemptNumber,
    Key,
    LastEvent,
    Offset,
    Parts,
    Stays,
    TaskIndex,
    Wired,
    stream,
)
from factotum.jobs.views import LogPiece, LogQuery

router: Final = APIRouter(prefix="/v1", responses=problems.RESPONSES)
_PIECE: Final = 1024 * 1024
_PART: Final = 64 * 1024
_MAX_BEFORE: Final = 256 * 1024
_MAX_LINE: Final = 2**31


class LinePlace(Value):
    """Where a line begins."""

    offset: int = Field(description="Its first byte.")
    line: int | None = Field(
        description="Its number, from 1; null: more than 64 MiB are before it, none is counted."
    )

    @classmethod
    def of(cls, place: Place) -> Self:
        """Show a place."""
        return cls(offset=place.offset, line=place.line)


class LogLines(Value):
    """Lines of a log that follow each other."""

    text: str = Field(description="The lines; the last one may go on in the next part.")
    first: LinePlace = Field(description="Where they begin.")
    end: int = Field(description="Where the next part begins.")
    wanted: LinePlace | None = Field(description="What was asked for; null: no such line.")
    size: int = Field(description="Of the whole log as it is now.")
    dropped: int = Field(description="Bytes that were left out since the log grew too large.")
    complete: bool = Field(description="Nothing more will be written.")
    missing: str = Field(description="Why what was printed is not there any more, if so.")

    @classmethod
    def of(cls, part: Part) -> Self:
        """Show a part of a log."""
        return cls(
            text=part.text,
            first=LinePlace.of(part.first),
            end=part.end,
            wanted=None if part.wanted is None else LinePlace.of(part.wanted),
            size=part.piece.size,
            dropped=part.piece.dropped,
            complete=part.piece.complete,
            missing=part.piece.missing,
        )


class MatchingLine(LinePlace):
    """A line that has the text."""

    text: str = Field(description="What can be seen of it, around the text.")

    @classmethod
    def of_match(cls, match: Match) -> Self:
        """Show a match."""
        return cls(offset=match.place.offset, line=match.place.line, text=match.text)


class Matches(Value):
    """Lines that have a text, in a part of a log."""

    matches: list[MatchingLine]
    next: LinePlace = Field(description="Ask on from here.")
    finished: bool = Field(description="That is the log's present end.")
    size: int = Field(description="Of the whole log as it is now.")

    @classmethod
    def of(cls, found: Found) -> Self:
        """Show what was found."""
        return cls(
            matches=[MatchingLine.of_match(match) for match in found.matches],
            next=LinePlace.of(found.next),
            finished=found.finished,
            size=found.size,
        )


@router.get(
    "/jobs/{key}/log",
    operation_id="get_log",
    tags=["logs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}}},
)
async def get_log(  # noqa: PLR0913 - a query's parameters
    key: Key,
    parts: Wired,
    may_stay: Stays,
    task: TaskIndex = None,
    attempt: AttemptNumber = None,
    offset: Offset = 0,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_OFFSET, description="At most so many bytes; none: all.")
    ] = None,
    follow: Annotated[bool, Query(description="Go on until the run is over.")] = False,  # noqa: FBT002 - a query's parameter
) -> Response:
    """Return what a run or one of its tasks has printed, as it is, byte by byte."""
    query = LogQuery(task=task, attempt=attempt, offset=offset, limit=min(limit or _PIECE, _PIECE))
    first = await parts.service.log(key, query)
    headers = {
        "Factotum-Log-Offset": str(first.offset),
        "Factotum-Log-Size": str(first.size),
        "Factotum-Log-Dropped": str(first.dropped),
        "Factotum-Log-Complete": str(first.complete).lower(),
    }
    if first.missing:
        headers["Factotum-Log-Missing"] = first.missing
    most = MAX_OFFSET if limit is None else limit
    if follow:
        parts.streams.check_room()
        body = parts.streams.given(_followed(parts, key, query, first, most), may_stay)
    else:
        body = _whole(parts, key, query, first, most)
    return StreamingResponse(body, headers=headers, media_type="text/plain; charset=utf-8")


async def _whole(
    parts: Parts, key: str, query: LogQuery, piece: LogPiece, left: int
) -> AsyncIterator[bytes]:
    """Yield so many bytes of a log, from a piece of it on, to the end that it had then."""
    end = piece.size
    while piece.data:
        yield piece.data
        left -= len(piece.data)
        offset = piece.offset + len(piece.data)
        if left <= 0 or offset >= end:
            return
        piece = await parts.service.log(key, replace(query, offset=offset, limit=min(left, _PIECE)))


async def _followed(
    parts: Parts, key: str, query: LogQuery, first: LogPiece, left: int
) -> AsyncIterator[bytes]:
    """Yield so many bytes of a log, from a piece of it on, until its run is over."""
    if first.data:
        yield first.data
        left -= len(first.data)
    if left <= 0:
        return
    offset = first.offset + len(first.data)
    async for piece in parts.streams.pieces(key, replace(query, offset=offset)):
        if piece is not None and piece.data:
            yield piece.data[:left]
            left -= len(piece.data)
            if left <= 0:
                return


@router.get(
    "/jobs/{key}/log/events",
    operation_id="watch_log",
    tags=["logs"],
    response_class=StreamingResponse,
    responses=STREAMED,
)
async def watch_log(
    key: Key,
    parts: Wired,
    may_stay: Stays,
    task: TaskIndex = None,
    attempt: AttemptNumber = None,
    offset: Offset = 0,
    last_event_id: LastEvent = None,
) -> Response:
    """Tell of a log as it grows: events `log` with text, `end` once the run is over.

    An `end` has `missing`, if what was printed is not there any more: a sentence that says why.
    An event's id is the offset of the next one: `Last-Event-ID` takes the place of `offset`.
    """
    parts.streams.check_room()
    begin = offset if last_event_id is None else last_event_id
    query = LogQuery(task=task, attempt=attempt, offset=begin)
    await parts.service.log(key, LogQuery(task=task, attempt=attempt, limit=1))
    return stream(parts.streams.given(parts.streams.log(key, query), may_stay))


def _which(task: TaskIndex = None, attempt: AttemptNumber = None) -> LogQuery:
    return LogQuery(task=task, attempt=attempt)


def _begin(
    offset: Annotated[
        int, Query(ge=0, le=MAX_OFFSET, description="Where to begin; a line's beginning.")
    ] = 0,
    line: Annotated[
        int | None,
        Query(ge=1, le=_MAX_LINE, description="The number of the line there; 1 at the beginning."),
    ] = None,
) -> Place:
    return Place(offset=offset, line=line if line is not None or offset else 1)


Which = Annotated[LogQuery, Depends(_which)]


@router.get("/jobs/{key}/log/lines", operation_id="get_log_lines", tags=["logs"])
async def get_log_lines(
    key: Key,
    parts: Wired,
    which: Which,
    offset: Offset = -_PART,
    line: Annotated[
        int | None, Query(ge=1, le=_MAX_LINE, description="A line's number; in place of `offset`.")
    ] = None,
    before: Annotated[
        int, Query(ge=0, le=_MAX_BEFORE, description="So many bytes before the place as well.")
    ] = 0,
    limit: Annotated[
        int, Query(ge=0, le=_PIECE, description="At most so many bytes from the place on.")
    ] = _PART,
) -> LogLines:
    """Return a part of a log as text, in whole lines with their numbers; by default its end.

    Lines are numbered as in the whole log that `/log` gives.
    """
    query = replace(which, offset=offset, limit=limit)
    return LogLines.of(await parts.lines.part(key, query, line=line, before=before))


@router.get("/jobs/{key}/log/search", operation_id="search_log", tags=["logs"])
async def search_log(
    key: Key,
    parts: Wired,
    which: Which,
    begin: Annotated[Place, Depends(_begin)],
    text: Annotated[
        str, Query(min_length=1, max_length=200, description="What to look for, within a line.")
    ],
    exact: Annotated[bool, Query(description="Whether capitals matter.")] = False,  # noqa: FBT002 - a query's parameter
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many lines.")] = 100,
) -> Matches:
    """Find the lines that have a text, in the next 8 MiB of a log; ask on from `next`.

    Searched is what a terminal would show: without colours, and without what was written over.
    """
    return Matches.of(
        await parts.lines.search(key, which, begin, text=text, is_exact=exact, most=limit)
    )
