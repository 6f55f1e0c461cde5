"""The bodies of requests, read as the original reads them, with its words for what is wrong."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from factotum.core.errors import FactotumError
from factotum.jobs.checking import serde
from factotum.jobs.views import Submission


class BodyError(FactotumError):
    """The body is not what the endpoint takes; the text is the original's reason."""


class _Field(NamedTuple):
    name: str
    is_list: bool = False
    is_optional: bool = False


_SETTINGS: Final = (_Field("state"),)
# In the order that an array in place of the object has.
_JOB: Final = (
    _Field("jobId", is_optional=True),
    _Field("jobName"),
    _Field("factfilePath"),
    _Field("factfileArgs", is_list=True),
)


def read_state(payload: bytes) -> str:
    """Return the state in a body for ``/settings``.

    Raises:
        BodyError: there is none.
    """
    state: str = _read(payload, "SettingsRequest", _SETTINGS)["state"]
    return state


def read_submission(payload: bytes) -> Submission:
    """Return what a body for ``/submit`` asks for.

    Raises:
        BodyError: it cannot be understood.
    """
    values = _read(payload, "JobRequest", _JOB)
    return Submission(
        name=values["jobName"],
        factfile_path=values["factfilePath"],
        args=tuple(values["factfileArgs"]),
    )


def _read(payload: bytes, struct: str, fields: Sequence[_Field]) -> dict[str, Any]:
    try:
        document = serde.parse(payload)
    except serde.JsonError as error:
        raise BodyError(str(error)) from None
    if isinstance(document, list):
        return _from_list(document, fields)
    if not isinstance(document, dict):
        raise BodyError(f"invalid type: {_kind(document)}, expected struct {struct}")
    values: dict[str, Any] = {}
    known = {field.name: field for field in fields}
    # The original looks at them in the order of their names.
    for name in sorted(document.keys() & known.keys()):
        values[name] = _value(document[name], known[name])
    for field in fields:
        if field.name not in values and not field.is_optional:
            raise BodyError(f"missing field `{field.name}`")
    return values


def _from_list(document: list[Any], fields: Sequence[_Field]) -> dict[str, Any]:
    values = {
        field.name: _value(each, field) for each, field in zip(document, fields, strict=False)
    }
    if len(document) < len(fields):
        expected = f"tuple of {len(fields)} elements"
        raise BodyError(f"invalid length {len(document)}, expected {expected}")
    if len(document) > len(fields):
        raise BodyError(f"invalid length {len(document)}, expected fewer elements in array")
    return values


def _value(value: Any, field: _Field) -> Any:
    if not field.is_list:
        return _text(value)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BodyError(f"invalid type: {_kind(value)}, expected a sequence")
    return [_text(each) for each in value]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BodyError(f"invalid type: {_kind(value)}, expected a string")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "unit value"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value:g}`" if value % 1 else f"floating point `{value:.0f}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "sequence" if isinstance(value, list) else "map"
