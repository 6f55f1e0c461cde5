"""Lines of logs: numbered, in parts that fit together, and found by a text.

Real: how the local backend reads files that may have lost their middle. By property: whatever a
job printed, a few bytes at a time, against the whole of it.
"""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.gateway.v1.lines import Lines, visible
from factotum.jobs.local.running import outputs
from factotum.jobs.views import LogQuery

PIECE = 7
unhurried = settings(deadline=None)
"""What is true is true on a busy machine as well."""


class Kept:
    """A log of one or two files: all of it, or its beginning and its end."""

    def __init__(self, folder: Path, head: bytes, tail: bytes, gap: int) -> None:
        head = head or b"a"  # only a middle is ever left out
        self.pieces = [(0, folder / "head")]
        (folder / "head").write_bytes(head)
        if gap:
            self.pieces.append((len(head) + gap, folder / "tail"))
            (folder / "tail").write_bytes(tail)
        self.kept = head + (tail if gap else b"")
        self.end = len(head) + (gap + len(tail) if gap else 0)
        self._head, self._gap = len(head), gap

    async def log(self, _key, query):
        return outputs.read(self.pieces, query.offset, query.limit, complete=True)

    def index(self, offset):
        """Return where an offset is in what is kept."""
        return offset if offset <= self._head else max(self._head, offset - self._gap)


printed = st.lists(
    st.sampled_from([b"\n", b"\n", b"a", b"needle", b"NEEDLE", b"\xe2\x82\xac", b"\x1b[1m", b"\r"]),
    max_size=40,
).map(b"".join)
gaps = st.sampled_from([0, 0, 1, 5, 40])


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def run(question):
    return asyncio.run(question)


async def _walk_on(lines, limit, offset=0):
    parts = []
    while True:
        part = await lines.part("k", LogQuery(offset=offset, limit=limit), line=None, before=0)
        if not part.text and part.end == offset:
            return parts
        parts.append(part)
        offset = part.end


async def _walk_back(lines, before):
    part = await lines.part("k", LogQuery(offset=-before), line=None, before=0)
    parts = [part]
    while part.first.offset > 0:
        asked = LogQuery(offset=part.first.offset, limit=0)
        part = await lines.part("k", asked, line=None, before=before)
        assert part.first.offset < parts[0].first.offset, "no step back"
        parts.insert(0, part)
    return parts + await _walk_on(lines, 1000, parts[-1].end)


@unhurried
@given(head=printed, tail=printed, gap=gaps, size=st.integers(4, 30))
def test_parts_put_together_are_the_whole_log_with_its_numbers(folder, head, tail, gap, size):
    log = Kept(folder, head, tail, gap)
    lines = Lines(log, PIECE)

    for parts in (run(_walk_on(lines, size)), run(_walk_back(lines, size))):
        joined = b"".join(
            log.kept[log.index(part.first.offset) : log.index(part.end)] for part in parts
        )
        assert joined == log.kept
        for part in parts:
            begin = log.index(part.first.offset)
            # A character that a gap has cut is not told from one that goes on.
            if not gap:
                assert part.text == log.kept[begin : log.index(part.end)].decode("utf-8", "replace")
            assert part.first.line == 1 + log.kept[:begin].count(b"\n")


@unhurried
@given(
    head=printed, tail=printed, gap=gaps, limit=st.integers(1, 30), before=st.integers(0, 30),
    line=st.integers(1, 25),
)  # fmt: skip
def test_a_line_is_found_by_its_number(folder, head, tail, gap, limit, before, line):
    log = Kept(folder, head, tail, gap)
    asked = LogQuery(limit=limit)
    part = run(Lines(log, PIECE).part("k", asked, line=line, before=before))

    rows = log.kept.split(b"\n")
    rows = rows[:-1] if len(rows) > 1 and not rows[-1] else rows
    if line > len(rows):
        assert part.wanted is None
        return
    assert part.wanted is not None
    assert part.wanted.line == line
    begin = log.index(part.wanted.offset)
    assert begin == len(b"".join(row + b"\n" for row in rows[: line - 1]))
    assert part.first.offset <= part.wanted.offset <= part.end
    first = log.index(part.first.offset)
    assert part.first.line == 1 + log.kept[:first].count(b"\n")


async def _search(lines, text, most, *, is_exact):
    found, begin = [], None
    while True:
        place = begin or (await _first(lines))
        answer = await lines.search("k", LogQuery(), place, text=text, is_exact=is_exact, most=most)
        assert len(answer.matches) <= most
        found += answer.matches
        if answer.finished:
            return found
        assert answer.next.offset > place.offset or answer.matches or begin is None
        begin = answer.next


async def _first(lines):
    part = await lines.part("k", LogQuery(), line=1, before=0)
    return part.first


@unhurried
@given(
    head=printed, tail=printed, gap=gaps, most=st.integers(1, 5), is_exact=st.booleans(),
    text=st.sampled_from(["needle", "a", "\u20ac", "Needlea", "[1m"]),
)  # fmt: skip
def test_every_line_with_a_text_is_found_once(folder, head, tail, gap, most, is_exact, text):
    log = Kept(folder, head, tail, gap)
    # Lines of more than a piece are searched in parts: here none is longer.
    found = run(_search(Lines(log, 600), text, most, is_exact=is_exact))

    def fold(shown):
        return shown if is_exact else shown.lower()

    rows = enumerate(log.kept.split(b"\n"), 1)
    wanted = [
        number
        for number, row in rows
        if fold(text) in fold(visible(row.decode("utf-8", "replace")))
    ]
    assert [match.place.line for match in found] == wanted
    for match in found:
        begin = log.index(match.place.offset)
        assert begin == 0 or log.kept[begin - 1 : begin] == b"\n"
        assert 1 + log.kept[:begin].count(b"\n") == match.place.line
        assert fold(text) in fold(match.text)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mERR\x1b[0mOR: x", "ERROR: x"),
        ("10 %\r50 %\rdone\r", "done"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[?25lhidden cursor", "hidden cursor"),
        ("plain", "plain"),
    ],
)
def test_what_is_searched_is_what_can_be_seen(line, shown):
    assert visible(line) == shown


def test_a_large_log_is_searched_in_bounded_steps(folder):
    text = b"".join(b"line %d of many\n" % number for number in range(700_000))
    log = Kept(folder, text, b"", 0)
    lines = Lines(log)
    answer = run(
        lines.search(
            "k", LogQuery(), run(_first(lines)), text="line 699999 ", is_exact=True, most=10
        )
    )

    assert (answer.matches, answer.finished) == ((), False)
    assert answer.next.offset < 9 * 1024 * 1024 < len(text)
    (match,) = run(_search(lines, "line 699999 ", 10, is_exact=True))
    assert match.place.line == 700_000
