"""From bytes to prefixed lines, with a real file at the end of the console.

Left out on purpose: single letters arriving one by one in every possible split;
a property cuts the text at random places instead.
"""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core.run.output import OutputTail
from factotum.runner.console import Console
from factotum.runner.lines import LONG_LINE, LineStream


class Screen:
    """A console whose standard output is a file in memory."""

    def __init__(self) -> None:
        self._file = os.memfd_create("screen")
        self.console = Console(colour=False, out_fd=self._file)

    def shown(self) -> bytes:
        self.console.flush()
        with os.fdopen(self._file, "rb") as file:
            file.seek(0)
            return file.read()

    def stream(self, name: bytes = b"t", tail: OutputTail | None = None, end: bytes = b""):
        return LineStream(self.console, self.console.out_fd, b"[" + name + b"] ", end, tail)


@pytest.mark.parametrize(
    ("chunks", "shown", "kept"),
    [
        ([b"A\n"], b"[t] A\n", "A"),
        ([b"l1\nl2\n\n"], b"[t] l1\n[t] l2\n[t] \n", "l1\nl2\n"),
        ([b"no end"], b"[t] no end\n", "no end"),
        ([b"a", b"b\nc", b"d\n"], b"[t] ab\n[t] cd\n", "ab\ncd"),
        ([b"ok\r\n"], b"[t] ok\n", "ok"),
        ([b"a\r", b"\nb\rc\n\r\nd\r"], b"[t] a\n[t] b\rc\n[t] \n[t] d\r\n", "a\nb\rc\n\nd\r"),
        ([b"\xff!\n"], "[t] \ufffd!\n".encode(), "\ufffd!"),
        ([b"\xc3", b"\xa4\n"], "[t] ä\n".encode(), "ä"),
        ([b"\n"], b"[t] \n", None),
        ([], b"", None),
    ],
)
def test_output_becomes_prefixed_lines(chunks, shown, kept):
    screen = Screen()
    tail = OutputTail(100)
    stream = screen.stream(tail=tail)
    for chunk in chunks:
        stream.feed(chunk)
    stream.finish()

    assert screen.shown() == shown
    assert tail.text() == kept


def test_colour_ends_before_each_line_feed():
    screen = Screen()
    stream = LineStream(screen.console, screen.console.out_fd, b"[t] \x1b[31m", b"\x1b[0m", None)
    stream.feed(b"a\nb\n")

    assert screen.shown() == b"[t] \x1b[31ma\x1b[0m\n[t] \x1b[31mb\x1b[0m\n"


def test_a_very_long_line_is_passed_on_in_pieces():
    screen = Screen()
    stream = screen.stream(tail=(tail := OutputTail(3)))
    piece = "ä".encode() * (LONG_LINE // 4)
    for _ in range(4):
        stream.feed(piece[:-1])
        stream.feed(piece[-1:])
    stream.feed(b"end\nnext\n")
    stream.finish()

    assert screen.shown().decode() == "[t] " + "ä" * LONG_LINE + "end\n[t] next\n"
    assert tail.text() == "ext"


def test_another_task_breaks_an_open_long_line():
    screen = Screen()
    one, other = screen.stream(b"one"), screen.stream(b"other")
    one.feed(b"x" * (LONG_LINE + 1))
    other.feed(b"hello\n")
    one.feed(b"y\n")

    assert screen.shown() == b"[one] " + b"x" * (LONG_LINE + 1) + b"\n[other] hello\n[one] y\n"


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_where_the_chunks_are_cut_does_not_matter(text, cuts):
    whole, pieces = Screen(), Screen()
    one, other = whole.stream(tail=OutputTail(20)), pieces.stream(tail=OutputTail(20))
    one.feed(text)
    one.finish()
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for begin, end in itertools.pairwise(places):
        other.feed(text[begin:end])
    other.finish()

    assert whole.shown() == pieces.shown()


@pytest.mark.parametrize(
    ("environ", "no_colour", "terminal", "colour"),
    [
        ({}, False, True, True),
        ({}, False, False, False),
        ({}, True, True, False),
        ({"CLICOLOR": "0"}, False, True, False),
        ({"CLICOLOR": "1"}, False, False, False),
        ({"NO_COLOR": ""}, False, True, False),
        ({"CLICOLOR_FORCE": ""}, False, False, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True, False),
    ],
)
def test_colour_is_decided_once(environ, no_colour, terminal, colour):
    from factotum.runner.console import wants_colour

    assert wants_colour(environ, no_colour=no_colour, is_terminal=terminal) is colour


def test_a_reader_that_has_gone_is_not_told_of():
    read, write = os.pipe()
    console = Console(colour=False, out_fd=write)
    os.close(read)

    console.out("x\n")
    console.flush()
    console.out("y\n")
    console.flush()

    os.close(write)


def test_a_full_non_blocking_pipe_is_waited_for():
    import threading

    read, write = os.pipe()
    os.set_blocking(write, False)
    console = Console(colour=False, out_fd=write)
    received = []

    def consume() -> None:
        while part := os.read(read, 1 << 16):
            received.append(part)

    reader = threading.Thread(target=consume)
    reader.start()
    for _ in range(50):
        console.out("x" * 20_000)
    console.finish()
    os.close(write)
    reader.join()
    os.close(read)

    assert len(b"".join(received)) == 1_000_000
