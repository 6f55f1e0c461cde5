"""JSON in and out as the original reads and writes it.

Reading uses the interpreter's own scanner, without the ``json`` package
around it (importing that costs more than reading a factfile). Only when the
text turns out to be bad is it read again by ``jsonsyntax``, to word the error
as the original does.
"""

from __future__ import annotations

from _json import encode_basestring, make_scanner  # the C parts of the json package

from factotum.core.errors import FactotumError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_BLANKS = " \t\n\r"
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


class BadJsonError(FactotumError, ValueError):
    """The text is not JSON for the original; which rule it breaks is not known yet."""


def parse(text: str) -> object:
    """Return the document in `text`; of a repeated key the last value counts.

    Raises:
        BadJsonError: The original would not read it.
    """
    begin = len(text) - len(text.lstrip(_BLANKS))
    try:
        document, end = _scan(text, begin)
    except StopIteration:
        raise BadJsonError("no value") from None
    except RecursionError:
        raise BadJsonError("nested too deeply") from None
    except (ValueError, SystemError) as error:
        # ValueError: those of the functions below, and the scanner's own if json happens to be
        # imported. If not, it cannot find the class of its error, and the interpreter complains.
        raise BadJsonError(str(error)) from None
    if text[end:].strip(_BLANKS):
        raise BadJsonError("trailing characters")
    if "\\u" in text and _any_lone_surrogate(document):
        raise BadJsonError("lone surrogate")
    return document


def quote(text: str) -> str:
    """Return the text as a JSON string in the original's compact form."""
    quoted: str = encode_basestring(text)
    return quoted.replace("\x7f", "\\u007f") if "\x7f" in quoted else quoted


def _parse_integer(digits: str) -> int:
    if len(digits) <= 20:
        number = int(digits)
        if _MIN_INTEGER <= number <= _MAX_INTEGER:
            return number
    raise BadJsonError("integer out of range")


def _parse_float(text: str) -> float:
    # The original reads the digits before the point or the exponent as an unsigned integer.
    whole = text.replace("E", "e").partition("e")[0].partition(".")[0].removeprefix("-")
    if len(whole) <= 20 and int(whole) <= _MAX_INTEGER:
        return float(text)
    raise BadJsonError("number out of range")


def _refuse_constant(name: str) -> NoReturn:
    raise BadJsonError(name)  # NaN, Infinity and -Infinity are Python's own additions


def _any_lone_surrogate(document: object) -> bool:
    # A pair of escapes has become one character; what is left over cannot be encoded.
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return True
        elif isinstance(value, dict):
            pending.extend(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


class _Settings:
    """What the C scanner asks for: the attributes of a ``json.JSONDecoder``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_parse_float)
    parse_int = staticmethod(_parse_integer)
    parse_constant = staticmethod(_refuse_constant)


_scan = make_scanner(_Settings())  # type: ignore[arg-type] # typeshed wants another scanner
