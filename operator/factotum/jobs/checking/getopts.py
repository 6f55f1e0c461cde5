"""The original server's own reading of a job's arguments, which it does to find the tags.

It knows the runner's options and GNU's rules, and words its errors in its own
way. Options that only the command line of a person makes sense of are unknown
to it, as they were: where a file of the server's would be written, for one.
"""

from collections.abc import Sequence
from typing import Final

from factotum.jobs.errors import ArgumentsError

_MANY: Final = frozenset({"tag", "constraint"})
_ONE: Final = frozenset(
    {
        "start",
        "env",
        "webhook",
        "output",
        "max-stdouterr-size",
        # What the runner has learned since:
        "heartbeat-interval",
        "schedule",
        "max-parallel",
    }
)
_FLAGS: Final = frozenset({"dry-run", "no-colour", "overwrite"})


def read_tags(words: Sequence[str]) -> list[str]:
    """Return the texts of all ``--tag``.

    Raises:
        ArgumentsError: the words cannot be read.
    """
    tags: list[str] = []
    seen: set[str] = set()
    rest = list(reversed(words))
    while rest and (word := rest.pop()) != "--":
        if not word.startswith("-") or word == "-":
            continue
        if not word.startswith("--"):
            raise ArgumentsError(f"UnrecognizedOption({_quote(word[1])})")
        name, attached, value = word[2:].partition("=")
        value = _value(name, value if attached else None, rest)
        if name in seen and name not in _MANY:
            raise ArgumentsError(f"OptionDuplicated({_quote(name)})")
        seen.add(name)
        if name == "tag":
            tags.append(value)
    return tags


def _value(name: str, attached: str | None, rest: list[str]) -> str:
    """Return an option's value, which may be the next word; a flag has an empty one."""
    if name in _FLAGS:
        if attached is not None:
            raise ArgumentsError(f"UnexpectedArgument({_quote(name)})")
        return ""
    if name not in _ONE | _MANY:
        raise ArgumentsError(f"UnrecognizedOption({_quote(name)})")
    if attached is not None:
        return attached
    if not rest:
        raise ArgumentsError(f"ArgumentMissing({_quote(name)})")
    return rest.pop()


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
