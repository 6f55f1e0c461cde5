"""The small factfile check that speaks the original's messages and starts fast.

It reports every violation at once. The published JSON Schema
(``factfile.schema.json`` beside this module) says the same to editors and to
the admission webhook; a property test holds the two together.
"""

from __future__ import annotations

from factotum.core.errors import FactotumError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_RETURN_CODE = 32767

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_NAME_CHARACTERS = f"{_LETTERS}{_DIGITS}-_"
_VENDOR_CHARACTERS = f"{_NAME_CHARACTERS}."


class _EnoughError(FactotumError):
    """As many were found as are wanted."""


class _Some(list[str]):
    """A list that takes so many and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def append(self, line: str) -> None:
        super().append(line)
        if len(self) >= self._most:
            raise _EnoughError

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.append(line)


def find_violations(document: object, most: int | None = None) -> list[str]:
    """Return one line per violation of the factfile schema, none if it is valid.

    Args:
        document: What may be a factfile.
        most: How many to look for; None looks for all.
    """
    found = [] if most is None else _Some(most)
    try:
        _check_object(document, "", _ROOT, found)
    except _EnoughError:
        return found
    return found


def is_iglu_uri(text: str) -> bool:
    """Whether the whole of `text` is the self-describing URI of a schema."""
    scheme, _, rest = text.partition(":")
    parts = rest.split("/")
    if scheme != "iglu" or len(parts) != 4:
        return False
    vendor, name, form, version = parts
    numbers = version.split("-")
    return (
        _consists_of(vendor, _VENDOR_CHARACTERS)
        and _consists_of(name, _NAME_CHARACTERS)
        and _consists_of(form, _NAME_CHARACTERS)
        and len(numbers) == 3
        and all(_consists_of(number, _DIGITS) for number in numbers)
    )


def _consists_of(text: str, characters: str) -> bool:
    # strip() eats from both ends; nothing is left only if every character is allowed.
    return bool(text) and not text.strip(characters)


def _wrong_type(path: str, expected: str) -> str:
    return f"'{path}' - Type of the value is wrong (The value must be {expected})"


def _check_string(value: object, path: str, found: list[str]) -> None:
    if type(value) is not str:
        found.append(_wrong_type(path, "string"))


def _check_schema_uri(value: object, path: str, found: list[str]) -> None:
    if type(value) is not str:
        found.append(_wrong_type(path, "string"))
    elif not is_iglu_uri(value):
        found.append(f"'{path}' - Pattern condition is not met")


def _check_strings(value: object, path: str, found: list[str]) -> None:
    if type(value) is not list:
        found.append(_wrong_type(path, "array"))
        return
    for index, element in enumerate(value):
        if type(element) is not str:
            found.append(_wrong_type(f"{path}/{index}", "string"))


def _check_codes(value: object, path: str, found: list[str]) -> None:
    if type(value) is not list:
        found.append(_wrong_type(path, "array"))
        return
    for index, element in enumerate(value):
        # bool is a subclass of int, and a fraction is still compared with the limits.
        if type(element) is not int:
            found.append(_wrong_type(f"{path}/{index}", "integer"))
        if type(element) is int or type(element) is float:
            if element > MAX_RETURN_CODE:
                found.append(f"'{path}/{index}' - Maximum condition is not met")
            elif element < 0:
                found.append(f"'{path}/{index}' - Minimum condition is not met")


def _check_tasks(value: object, path: str, found: list[str]) -> None:
    if type(value) is not list:
        found.append(_wrong_type(path, "array"))
        return
    for index, element in enumerate(value):
        _check_object(element, f"{path}/{index}", _TASK, found)


def _check_object(
    value: object,
    path: str,
    properties: Mapping[str, Callable[[object, str, list[str]], None]],
    found: list[str],
) -> None:
    if type(value) is not dict:
        found.append(_wrong_type(path, "object"))
        return
    for name, check in properties.items():
        if name in value:
            check(value[name], f"{path}/{name}", found)
        else:
            found.append(f"'{path}/{name}' - This property is required")
    found.extend(
        f"'{path}' - Property conditions are not met (Additional properties are not allowed)"
        for name in value
        if name not in properties
    )


def _check_on_result(value: object, path: str, found: list[str]) -> None:
    _check_object(value, path, _ON_RESULT, found)


def _check_data(value: object, path: str, found: list[str]) -> None:
    _check_object(value, path, _DATA, found)


# The order of the keys is the one of the compact form.
_ON_RESULT = {"terminateJobWithSuccess": _check_codes, "continueJob": _check_codes}
_TASK = {
    "name": _check_string,
    "executor": _check_string,
    "command": _check_string,
    "arguments": _check_strings,
    "dependsOn": _check_strings,
    "onResult": _check_on_result,
}
_DATA = {"name": _check_string, "tasks": _check_tasks}
_ROOT = {"schema": _check_schema_uri, "data": _check_data}
