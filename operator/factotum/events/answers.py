"""What a request came to, and how an answer is read. Pure: whoever reads brings the bytes.

Lenient where the consumer's meaning is clear, as common HTTP clients are: lines may end
without a carriage return, empty lines may stand in front, and any number of interim
answers (100 Continue and its kin) may come first, however the bytes are cut into packets.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_BEGIN = b"HTTP/1."
_VERSIONS = (b"HTTP/1.0", b"HTTP/1.1")
_SWITCHING_PROTOCOLS = 101
_MOST_HEADER_BYTES = 300 * 1024
_LONGEST_REASON = 200


class Answer:
    """What a request came to.

    Attributes:
        status: the HTTP status, 0 if the transport failed.
        reason: the status line's text, or what failed.
        is_shortage: this machine had no descriptor or memory; it says nothing of the consumer.
    """

    __slots__ = ("is_shortage", "reason", "status")

    def __init__(self, status: int, reason: str, *, is_shortage: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.is_shortage = is_shortage

    @classmethod
    def of_failure(cls, error: Exception) -> Answer:
        """Return what stands for an answer when there was none."""
        return cls(0, _describe(error), is_shortage=_is_shortage(error))


def read_answer(receive: Callable[[], bytes]) -> Answer:
    """Read until the end of the headers of the final answer; the body is nobody's business.

    Args:
        receive: gives the next bytes, none at the end.
    """
    received = b""
    while True:
        while (end := _find_end(received)) < 0:
            if not received.startswith(_BEGIN[: len(received)]):
                return Answer(0, "the answer is not HTTP/1")
            if len(received) > _MOST_HEADER_BYTES:
                return Answer(0, "the answer's headers do not end")
            chunk = receive()
            if not chunk:
                return Answer(0, "the connection was closed without an answer")
            received = (received + chunk).lstrip(b"\r\n")
        answer = _parse_status_line(received)
        if not 100 <= answer.status < 200 or answer.status == _SWITCHING_PROTOCOLS:
            return answer
        received = received[end:].lstrip(b"\r\n")  # an interim answer: the next one counts


def _find_end(received: bytes) -> int:
    """Return where the headers' empty line ends, -1 if it has not come yet."""
    marks = (b"\n\r\n", b"\n\n")
    ends = [found + len(mark) for mark in marks if (found := received.find(mark)) >= 0]
    return min(ends, default=-1)


def _parse_status_line(received: bytes) -> Answer:
    line = received.partition(b"\n")[0].rstrip(b"\r")
    version, status, reason, *_ = (*line.split(None, 2), b"", b"", b"")
    known = line.startswith(_BEGIN) and version in _VERSIONS
    if not known or len(status) != 3 or not status.isdigit():
        return Answer(0, "the answer is not HTTP/1")
    return Answer(int(status), _to_text(reason))


def _to_text(reason: bytes) -> str:
    """Return foreign text as what a log may hold: one short line without control characters."""
    text = reason.decode("utf-8", "replace")[:_LONGEST_REASON]
    return "".join(each if each.isprintable() else "?" for each in text)


def _describe(error: Exception) -> str:
    """Return the error in the form of the original: ``Connection refused (os error 111)``."""
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        return str(error) or type(error).__name__
    if hasattr(error, "library"):  # TLS has one
        return str(error)
    if error.errno < 0:  # the resolver's codes
        return f"failed to lookup address information: {error.strerror}"
    return f"{error.strerror} (os error {error.errno})"


def _is_shortage(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in SHORTAGES
    if isinstance(error, ImportError):  # a library that could not be opened, told in words
        return os.strerror(errno.EMFILE) in str(error) or os.strerror(errno.ENFILE) in str(error)
    return isinstance(error, MemoryError)
