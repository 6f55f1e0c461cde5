"""The variables of a run: the JSON of ``--env``, and tags on top of it."""

from __future__ import annotations

from factotum.core import errors, jsontext
from factotum.core.factfile import tags


def parse_variables(text: str) -> dict[str, str]:
    """Return the variables in a JSON object whose values are all strings.

    Raises:
        EnvironmentFormatError: The text is anything else.
    """
    try:
        document = jsontext.parse(text)
    except jsontext.BadJsonError as error:
        raise errors.EnvironmentFormatError(text, str(error)) from None
    if not isinstance(document, dict):
        raise errors.EnvironmentFormatError(text, "not an object")
    for name, value in document.items():
        if not isinstance(value, str):
            raise errors.EnvironmentFormatError(text, f"the value of '{name}' is not a string")
    return document


def build_variables(env_text: str | None, pairs: dict[str, str]) -> dict[str, str]:
    """Return what templates of a run may use; a tag wins over a variable of its name."""
    variables = {} if env_text is None else parse_variables(env_text)
    return {**variables, **tags.to_variables(pairs)}
