"""Which job it is: Factotum Server's job id, of the factfile as it is written, and the tags."""

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from factotum.core.factfile import references
from factotum.jobs.checking import serde
from factotum.jobs.errors import UnreadableError

MAX_BYTES: Final = 16 * 1024 * 1024
"""More than any factfile of 2,000 tasks; the original knows no limit, its memory does."""
_MOST_DIGITS: Final = 21
_LEAST_POINT: Final = -6


def describe(error: OSError) -> str:
    """Return a system error in the original's words."""
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def exists(path: str) -> bool:
    """Whether there is something of this path, whatever it is."""
    try:
        os.stat(path)  # noqa: PTH116 - any text may come, and pathlib has rules of its own
    except (OSError, ValueError):
        return False
    return True


def read(path: str) -> bytes:
    """Read a factfile.

    Raises:
        UnreadableError: in the original's words.
    """
    try:
        # A pipe that nobody writes to must not hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        msg = f"Could not open '{path}' for reading: {describe(error)}"
        raise UnreadableError(msg) from None
    try:
        with os.fdopen(descriptor, "rb") as file:
            payload = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableError(f"Could not read '{path}': {describe(error)}") from None
    if len(payload) > MAX_BYTES:
        raise UnreadableError(f"Could not read '{path}': it is larger than {MAX_BYTES} bytes")
    return payload


def job_id(payload: bytes, path: str, tags: Mapping[str, str]) -> str:
    """Compute the job id.

    Raises:
        UnreadableError: the text is not JSON, in the original's words.
    """
    try:
        payload.decode()
    except UnicodeDecodeError:
        msg = f"Could not read '{path}': stream did not contain valid UTF-8"
        raise UnreadableError(msg) from None
    try:
        document = serde.parse(payload)
    except serde.JsonError as error:
        raise UnreadableError(str(error)) from None
    if _has_fraction(document):
        return references.job_id_of_text(_compact(document), tags)
    return references.job_id(document, tags)


def _has_fraction(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_fraction, value.values()))
    if isinstance(value, list):
        return any(map(_has_fraction, value))
    return isinstance(value, float)


def _compact(value: Any) -> str:
    """Write a document as the original does; only its fractions differ from ``json.dumps``."""
    if isinstance(value, dict):
        members = (f"{_compact(key)}:{_compact(value[key])}" for key in sorted(value))
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_compact, value))}]"
    if isinstance(value, float):
        return _fraction(value)
    return json.dumps(value, ensure_ascii=False)


def _fraction(number: float) -> str:
    """Write a number with the fewest digits, with an exponent from 1e21 on and below 1e-5."""
    sign, digits, power = Decimal(repr(number)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    power = int(power)
    while text.endswith("0"):
        text, power = text[:-1], power + 1
    minus = "-" if sign else ""
    if not text:
        return f"{minus}0.0"
    point = len(text) + power  # the decimal point stands behind so many digits
    if power >= 0 and point <= _MOST_DIGITS:
        return f"{minus}{text}{'0' * power}.0"
    if 0 < point <= _MOST_DIGITS:
        return f"{minus}{text[:point]}.{text[point:]}"
    if _LEAST_POINT < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    rest = f".{text[1:]}" if len(text) > 1 else ""
    return f"{minus}{text[0]}{rest}e{point - 1}"
