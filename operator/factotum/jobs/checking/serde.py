"""JSON as Factotum Server reads it, with its words for what is wrong.

Scripts look for these texts, positions included. A good text is read by the
interpreter's own scanner; only a bad one, or one with something odd in it, is
gone through again byte by byte.
"""

import itertools
import json
import math
import re
from typing import Any, Final, NoReturn

from factotum.core.errors import FactotumError

MAX_DEPTH: Final = 127
_U64: Final = 2**64
_I64: Final = -(2**63)
_BLANKS: Final = " \t\n\r"
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_BRACKETS: Final = re.compile(
    r'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))*+([\[\]{}]|\Z)', re.DOTALL
)
"""The next bracket that is in no string, or the end. What it begins with it always matches: a
search that began anew behind each character would take for ever."""
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1, "": 0}
_ODD: Final = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


class JsonError(FactotumError, ValueError):
    """The text is no JSON for the original; the message is its own."""


def parse(payload: bytes) -> Any:
    """Return the document in UTF-8 text; of a repeated key the last value counts.

    Raises:
        JsonError: it is none.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as exc:
        if exc.reason == "unexpected end of data":
            msg = f"incomplete utf-8 byte sequence from index {exc.start}"
        else:
            msg = f"invalid utf-8 sequence of {exc.end - exc.start} bytes from index {exc.start}"
        raise JsonError(msg) from None
    if not _is_deep(text) and not _ODD.search(text):
        try:
            return json.loads(
                text, parse_int=_integer, parse_float=_fraction, parse_constant=_refuse
            )
        except ValueError:
            pass
    # Positions count bytes, so every byte is one character here.
    return _Reader(payload.decode("latin-1")).read()


def _is_deep(text: str) -> bool:
    """Whether what is in brackets is nested too deep; of what is no JSON, as far as it is."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depths = itertools.accumulate(_STEPS[found[1]] for found in _BRACKETS.finditer(text))
    return any(depth > MAX_DEPTH for depth in depths)


def _integer(digits: str) -> int | float:
    number = int(digits) if len(digits) <= 21 else None
    return number if number is not None and _I64 <= number < _U64 else _fraction(digits)


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's own additions


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def read(self) -> Any:
        value = self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._here("trailing characters")
        return value

    def _fail(self, problem: str, index: int) -> JsonError:
        seen = self._text[: min(index, len(self._text))]
        line = seen.count("\n") + 1
        return JsonError(f"{problem} at line {line} column {len(seen) - seen.rfind(chr(10)) - 1}")

    def _here(self, problem: str) -> JsonError:
        """Tell of the character that is looked at."""
        return self._fail(problem, self._at + 1)

    def _behind(self, problem: str) -> JsonError:
        """Tell of the character that was taken last."""
        return self._fail(problem, self._at)

    def _skip(self) -> str:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        first = self._skip()
        if not first:
            raise self._here("EOF while parsing a value")
        if first == '"':
            self._at += 1
            return self._string()
        if first in "[{":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._here("recursion limit exceeded")
            self._at += 1
            value = self._list() if first == "[" else self._object()
            self._depth -= 1
            return value
        if first == "-" or first.isdecimal():
            return self._number()
        for word, meaning in (("null", None), ("true", True), ("false", False)):
            if first == word[0]:
                return self._word(word, meaning)
        raise self._here("expected value")

    def _word(self, word: str, meaning: bool | None) -> bool | None:  # noqa: FBT001 - a value
        for letter in word:
            taken = self._text[self._at : self._at + 1]
            self._at += len(taken)
            if taken != letter:
                raise self._behind("expected ident")
        return meaning

    def _list(self) -> list[Any]:
        values: list[Any] = []
        while True:
            following = self._skip()
            if not following:
                raise self._here("EOF while parsing a list")
            if following == "]":
                self._at += 1
                return values
            if values:
                if following != ",":
                    raise self._here("expected `,` or `]`")
                self._at += 1
            values.append(self._value())

    def _object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        is_first = True
        while True:
            following = self._skip()
            if following == "}":
                self._at += 1
                return members
            if not following:
                raise self._here("EOF while parsing an object")
            if not is_first:
                if following != ",":
                    raise self._here("expected `,` or `}`")
                self._at += 1
                following = self._skip()
                if not following:
                    raise self._here("EOF while parsing a value")
            is_first = False
            if following != '"':
                raise self._here("key must be a string")
            self._at += 1
            key = self._string()
            following = self._skip()
            if following != ":":
                raise self._here("expected `:`" if following else "EOF while parsing an object")
            self._at += 1
            members[key] = self._value()

    def _number(self) -> int | float:
        begin = self._at
        if self._text[self._at] == "-":
            self._at += 1
        first = self._take()
        if not first.isdecimal():
            raise self._behind("invalid number")
        if first != "0":
            self._digits()
        elif self._peek().isdecimal():
            raise self._here("invalid number")
        self._fraction()
        self._exponent()
        text = self._text[begin : self._at]
        try:
            return _fraction(text) if set(text) & set(".eE") else _integer(text)
        except (ValueError, OverflowError):
            raise self._behind("number out of range") from None

    def _fraction(self) -> None:
        if self._peek() == ".":
            self._at += 1
            if not self._peek().isdecimal():
                raise self._here("invalid number")
            self._digits()

    def _exponent(self) -> None:
        if self._peek() in ("e", "E"):
            self._at += 1
            if self._peek() in ("+", "-"):
                self._at += 1
            if not self._take().isdecimal():
                raise self._behind("invalid number")
            self._digits()

    def _digits(self) -> None:
        while self._peek().isdecimal():
            self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        taken = self._peek()
        self._at += len(taken)
        return taken

    def _string(self) -> str:
        parts: list[str] = []
        while True:
            found = _PLAIN.match(self._text, self._at)
            assert found is not None, "the pattern matches nothing, too"  # noqa: S101 - for mypy
            parts.append(found.group().encode("latin-1").decode())
            self._at = found.end()
            if self._at >= len(self._text):
                raise self._here("EOF while parsing a string")
            if self._text[self._at] == '"':
                self._at += 1
                return "".join(parts)
            if self._text[self._at] != "\\":
                raise self._behind("invalid unicode code point")
            self._at += 1
            parts.append(self._escape())

    def _escape(self) -> str:
        letter = self._next_in_string()
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter != "u":
            raise self._behind("invalid escape")
        code = self._hex()
        if 0xDC00 <= code <= 0xDFFF:
            raise self._behind("lone leading surrogate in hex escape")
        if not 0xD800 <= code <= 0xDBFF:
            return chr(code)
        if self._next_in_string() != "\\" or self._next_in_string() != "u":
            raise self._behind("unexpected end of hex escape")
        second = self._hex()
        if not 0xDC00 <= second <= 0xDFFF:
            raise self._behind("lone leading surrogate in hex escape")
        return chr(0x10000 + ((code - 0xD800) << 10) + second - 0xDC00)

    def _hex(self) -> int:
        code = 0
        for _ in range(4):
            letter = self._next_in_string()
            if letter not in "0123456789abcdefABCDEF":
                raise self._behind("invalid escape")
            code = code * 16 + int(letter, 16)
        return code

    def _next_in_string(self) -> str:
        taken = self._take()
        if not taken:
            raise self._here("EOF while parsing a string")
        return taken
