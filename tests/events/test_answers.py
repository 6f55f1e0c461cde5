"""How a consumer's answer is read, however it is spelt and cut into packets. Pure."""

import errno
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.events.answers import Answer, read_answer


def read(*packets: bytes) -> tuple[int, str]:
    arriving = itertools.chain(packets, itertools.repeat(b""))
    answer = read_answer(lambda: next(arriving))
    return answer.status, answer.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="plain"),
        pytest.param(b"HTTP/1.1 200 OK\n\n", id="bare-line-feeds"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\r\n\r\n", id="mixed-line-ends"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\r\n", id="mixed-the-other-way"),
        pytest.param(b"\r\n\n\r\nHTTP/1.1 200 OK\r\n\r\n", id="empty-lines-in-front"),
        pytest.param(b"HTTP/1.0  200\tOK\r\n\r\n", id="other-blanks"),
        pytest.param(b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n\n", id="bare-continue"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            id="continue-and-empty-line",
        ),
        pytest.param(
            b"HTTP/1.1 102 Processing\n\nHTTP/1.1 103 Early Hints\nLink: <a>\r\n\n"
            b"HTTP/1.1 199 x\r\n\r\nHTTP/1.1 200 OK\r\n\n",
            id="many-interim-answers",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nbroken header\r\n folded\r\n\r\n", id="odd-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="odd-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", id="long-header"),
    ],
)
def test_answer_is_understood_at_once_and_byte_by_byte(text):
    assert read(text) == (200, "OK")
    assert read(*(bytes([byte]) for byte in text[:4000]), text[4000:]) == (200, "OK")


END = st.sampled_from([b"\r\n", b"\n"])
HEAD = st.builds(
    lambda status, headers, ends: status
    + b"".join(b"%sA: b" % end for _, end in zip(range(headers), ends[2:], strict=False))
    + ends[0]
    + ends[1],
    st.just(b"%s"),
    st.integers(0, 3),
    st.lists(END, min_size=5, max_size=5),
)


@given(
    st.lists(st.tuples(HEAD, st.integers(102, 199)), max_size=4),
    HEAD,
    st.integers(200, 599),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_final_status_counts_after_any_interim_answers(interim, last, status, cuts):
    heads = [head % (b"HTTP/1.1 %d x" % number) for head, number in interim]
    text = b"".join([*heads, last % (b"HTTP/1.1 %d x" % status)])
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    packets = [text[begin:end] for begin, end in itertools.pairwise(bounds) if begin < end]

    assert read(*packets) == (status, "x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "the connection was closed without an answer"),
        (b"\r\n", "the connection was closed without an answer"),
        (b"HTT", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nA: ", "the connection was closed without an answer"),
        (b"HTTP/1.1 100 Continue\n\n", "the connection was closed without an answer"),
        (b"hello", "the answer is not HTTP/1"),
        (b" HTTP/1.1 200 OK\r\n\r\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 100 Continue\n\n220 smtp\n\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 200OK\r\n\r\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n", "the answer is not HTTP/1"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000, "the answer's headers do not end"),
    ],
)
def test_what_is_no_answer_is_told_as_such(text, reason):
    assert read(text) == (0, reason)


def test_reason_from_outside_is_one_short_line_without_control_characters():
    assert read(b"HTTP/1.1 500 a\x1b[31m\rb\x00\xff\r\n\r\n") == (500, "a?[31m?b?\ufffd")
    assert len(read(b"HTTP/1.1 500 " + b"a" * 10_000 + b"\r\n\r\n")[1]) == 200


@pytest.mark.parametrize(
    ("error", "reason", "is_shortage"),
    [
        (OSError(errno.ECONNREFUSED, "Refused"), "Refused (os error 111)", False),
        (OSError(errno.EMFILE, "Too many"), "Too many (os error 24)", True),
        (ImportError("libx.so: Too many open files"), "libx.so: Too many open files", True),
        (ImportError("No module named 'ssl'"), "No module named 'ssl'", False),
        (OSError("words"), "words", False),
        (MemoryError(), "MemoryError", True),
        (RuntimeError("can't start new thread"), "can't start new thread", False),
    ],
)
def test_failure_is_worded_and_a_shortage_of_ours_known(error, reason, is_shortage):
    answer = Answer.of_failure(error)

    assert (answer.status, answer.reason, answer.is_shortage) == (0, reason, is_shortage)
