"""Says what is wrong with a text that is not JSON, in the original's words.

A small state machine that takes the same steps as the original's parser, so
that text, line and column agree; that includes its slip with a trailing comma
in a nested object. It is only loaded when a factfile is broken, and builds no
document.
"""

from __future__ import annotations

from factotum.core import errors

_MAX = 2**64 - 1
_DIGITS = "0123456789"
_HEX_DIGITS = "0123456789abcdefABCDEF"

_START, _ARRAY_FIRST, _ARRAY_NEXT, _ARRAY_COMMA = "start", "array first", "array", "array comma"
_OBJECT_FIRST, _OBJECT_NEXT, _OBJECT_COMMA = "object first", "object", "object comma"
_BEFORE_END = "before end"

_IN_ARRAY, _IN_OBJECT = "index", "key"


def explain(text: str) -> errors.FactfileSyntaxError:
    """Return the error of the first place where `text` stops being JSON."""
    try:
        _Reader(text).read()
    except errors.FactfileSyntaxError as error:
        return error
    # Nothing is wrong but the depth: more than this interpreter follows.
    return errors.FactfileSyntaxError("nested too deeply", 1, 1)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._state = _START
        self._stack: list[str] = []  # what the original's parser remembers
        self._open: list[str] = []  # what is really open

    def read(self) -> None:
        """Go through the text and raise at the first mistake."""
        while True:
            self._skip_blanks()
            if self._state == _BEFORE_END:
                self._finish()
                return
            if self._state == _ARRAY_COMMA:
                self._after_element()
            elif self._state == _OBJECT_COMMA:
                self._after_member()
            elif self._state in (_ARRAY_FIRST, _ARRAY_NEXT):
                self._array(first=self._state == _ARRAY_FIRST)
            elif self._state in (_OBJECT_FIRST, _OBJECT_NEXT):
                self._object(first=self._state == _OBJECT_FIRST)
            else:
                self._value(_BEFORE_END)

    def _fail(self, problem: str) -> errors.FactfileSyntaxError:
        seen = self._text[: self._position + 1]
        line = seen.count("\n") + 1
        if line == 1:
            return errors.FactfileSyntaxError(problem, 1, self._position + 1)
        # The line feed itself is column 1.
        return errors.FactfileSyntaxError(problem, line, self._position - seen.rfind("\n") + 1)

    @property
    def _current(self) -> str:
        return self._text[self._position : self._position + 1]

    def _skip_blanks(self) -> None:
        while self._current and self._current in " \n\t\r":
            self._position += 1

    def _step(self) -> str:
        # At the end of the text each step still counts as a column.
        self._position += 1
        return self._current

    def _finish(self) -> None:
        if self._current:
            raise self._fail("trailing characters")
        if self._open:
            kind = self._open[-1]
            raise self._fail(
                "EOF While parsing object" if kind == _IN_OBJECT else "EOF While parsing value"
            )

    def _close(self) -> None:
        self._open.pop()
        self._position += 1
        if not self._stack:
            self._state = _BEFORE_END
        else:
            self._state = _ARRAY_COMMA if self._stack[-1] == _IN_ARRAY else _OBJECT_COMMA

    def _after_element(self) -> None:
        if self._current == ",":
            self._position += 1
            self._state = _ARRAY_NEXT
        elif self._current == "]":
            self._stack.pop()
            self._close()
        elif not self._current:
            raise self._fail("EOF While parsing array")
        else:
            raise self._fail("invalid syntax")

    def _after_member(self) -> None:
        self._stack.pop()
        if self._current == ",":
            self._position += 1
            self._state = _OBJECT_NEXT
        elif self._current == "}":
            self._close()
        elif not self._current:
            raise self._fail("EOF While parsing object")
        else:
            raise self._fail("invalid syntax")

    def _array(self, *, first: bool) -> None:
        if self._current == "]":
            if not first:
                raise self._fail("invalid syntax")
            self._close()
            return
        if first:
            self._stack.append(_IN_ARRAY)
        self._value(_ARRAY_COMMA)

    def _object(self, *, first: bool) -> None:
        if self._current == "}":
            if not first:
                if not self._stack:
                    raise self._fail("trailing comma")
                self._stack.pop()  # the slip: this entry belongs to the outer container
            self._close()
            return
        if not self._current:
            raise self._fail("EOF While parsing object")
        if self._current != '"':
            raise self._fail("key must be a string")
        self._string()
        self._skip_blanks()
        if not self._current:
            raise self._fail("EOF While parsing object")
        if self._current != ":":
            raise self._fail("expected `:`")
        self._stack.append(_IN_OBJECT)
        self._position += 1
        self._skip_blanks()
        self._value(_OBJECT_COMMA)

    def _value(self, following: str) -> None:
        character = self._current
        self._state = following
        if not character:
            raise self._fail("EOF While parsing value")
        if character in "ntf":
            self._word({"n": "ull", "t": "rue", "f": "alse"}[character])
        elif character in "-0123456789":
            self._number()
        elif character == '"':
            self._string()
        elif character in "[{":
            self._position += 1
            self._open.append(_IN_ARRAY if character == "[" else _IN_OBJECT)
            self._state = _ARRAY_FIRST if character == "[" else _OBJECT_FIRST
        else:
            raise self._fail("invalid syntax")

    def _word(self, rest: str) -> None:
        for expected in rest:
            if self._step() != expected:
                raise self._fail("invalid syntax")
        self._position += 1

    def _number(self) -> None:
        negative = self._current == "-"
        if negative:
            self._position += 1
        number = self._whole_number()
        if self._current not in (".", "e", "E"):
            # Two's complement: one more is allowed below zero.
            if negative and number > 2**63:
                raise self._fail("invalid number")
            return
        if self._current == ".":
            self._position += 1
            self._digits()
        if self._current in ("e", "E"):
            if self._step() in ("+", "-"):
                self._position += 1
            self._digits()

    def _whole_number(self) -> int:
        number = 0
        if self._current == "0":
            if self._step() and self._current in _DIGITS:
                raise self._fail("invalid number")
            return 0
        if not self._current or self._current not in _DIGITS:
            raise self._fail("invalid number")
        while self._current and self._current in _DIGITS:
            number = number * 10 + int(self._current)
            if number > _MAX:
                raise self._fail("invalid number")
            self._position += 1
        return number

    def _digits(self) -> None:
        if not self._current or self._current not in _DIGITS:
            raise self._fail("invalid number")
        while self._current and self._current in _DIGITS:
            self._position += 1

    def _string(self) -> None:
        while True:
            character = self._step()
            if character == "\\":
                self._escape()
            elif character == '"':
                self._position += 1
                return
            elif not character:
                raise self._fail("EOF While parsing string")
            elif character <= "\x1f":
                raise self._fail("unescaped control character in string")

    def _escape(self) -> None:
        character = self._step()
        if not character:
            raise self._fail("EOF While parsing string")
        if character not in '"\\/bfnrtu':
            raise self._fail("invalid escape")
        if character != "u":
            return
        code = self._hex_digits()
        if 0xDC00 <= code <= 0xDFFF:
            raise self._fail("lone leading surrogate in hex escape")
        if 0xD800 <= code <= 0xDBFF:
            first = self._step()
            if (first, self._step()) != ("\\", "u"):
                raise self._fail("unexpected end of hex escape")
            if not 0xDC00 <= self._hex_digits() <= 0xDFFF:
                raise self._fail("lone leading surrogate in hex escape")

    def _hex_digits(self) -> int:
        code = 0
        for _ in range(4):
            digit = self._step()
            if not digit or digit not in _HEX_DIGITS:
                raise self._fail("invalid escape")
            code = code * 16 + int(digit, 16)
        return code
