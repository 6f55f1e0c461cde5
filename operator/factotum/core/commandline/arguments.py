"""Reads the command line as the original does, with its messages.

First every word is taken for itself (an unknown option is found there), then
the whole is compared with the usage, then numbers are read.
"""

from __future__ import annotations

from factotum.core.commandline import usage
from factotum.core.errors import FactotumError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_NUMBER = 2**64 - 1
_SIMILAR = 2  # edits


class UsageError(FactotumError):
    """The command line cannot be understood; the text goes to standard output."""

    def __init__(self, problem: str, *, show_usage: bool = True) -> None:
        super().__init__(f"{problem}\n\n{usage.USAGE}" if show_usage else problem)


class Arguments:
    """A command line that fits the usage."""

    def __init__(self, words: list[str], given: dict[str, list[str]]) -> None:
        self.command = words[0] if words else ""
        self.operand = words[1] if len(words) > 1 else ""
        self._given = given

    def has(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self._given

    def value(self, name: str) -> str | None:
        """Return the value of an option, None if it was not given."""
        values = self._given.get(name)
        return values[0] if values else None

    def values(self, name: str) -> list[str]:
        """Return all values of a repeatable option."""
        return self._given.get(name, [])

    def number(self, name: str) -> int | None:
        """Return the value of an option as an unsigned number; an empty one counts as 0."""
        text = self.value(name)
        # Without its zeros in front: int() counts them among the digits that it may read.
        return None if text is None else int(text.lstrip("+0") or "0")


def parse(argv: Sequence[str]) -> Arguments:
    """Return the arguments of a command line (without the program's name).

    Raises:
        UsageError: They fit no usage, or a number is none.
    """
    words, given = _split(argv)
    if not _fits(words, given):
        raise UsageError("Invalid arguments.")
    for name, values in given.items():
        kind = usage.OPTIONS[name].number
        if kind is not None and not is_number(values[0]):
            raise UsageError(
                f"Could not decode '{values[0]}' to {kind} for '{name}'.", show_usage=False
            )
        choices = usage.OPTIONS[name].choices
        if choices and values[0] not in choices:
            raise UsageError(
                f"The value '{values[0]}' of '{name}' is none of: {', '.join(choices)}.",
                show_usage=False,
            )
    return Arguments(words, given)


def _split(argv: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    words: list[str] = []
    given: dict[str, list[str]] = {}
    position = 0
    while position < len(argv):
        argument = argv[position]
        position += 1
        if argument == "--":
            words += argv[position:]
            break
        if argument.startswith("--"):
            position += _take_long(argument, argv[position : position + 1], given)
        elif argument.startswith("-") and argument != "-":
            for letter in argument[1:]:
                short = f"-{letter}"
                if short not in usage.SHORT_FORMS:
                    raise UsageError(f"Unknown flag: '{short}'")
                given.setdefault(usage.SHORT_FORMS[short], []).append("")
        else:
            words.append(argument)
    return words, given


def _take_long(argument: str, following: Sequence[str], given: dict[str, list[str]]) -> int:
    """Note a long option and return how many of the following words belong to it."""
    name, attached, value = argument.partition("=")
    option = usage.OPTIONS.get(name)
    if option is None:
        similar = find_similar(name, usage.OPTIONS)
        hint = f". Did you mean '{similar}'?" if similar is not None else ""
        raise UsageError(f"Unknown flag: '{name}'{hint}")
    if option.value is None:
        if attached:
            raise UsageError(f"Flag '{name}' cannot have an argument, but found '{value}'.")
        given.setdefault(name, []).append("")
        return 0
    if attached:
        given.setdefault(name, []).append(value)
        return 0
    if not following:
        raise UsageError(f"Expected argument for flag '{name}' but reached end of arguments.")
    given.setdefault(name, []).append(following[0])
    return 1


def _fits(words: list[str], given: dict[str, list[str]]) -> bool:
    for name, values in given.items():
        if len(values) > 1 and not usage.OPTIONS[name].repeatable:
            return False
    alone = [name for name in given if name != "--no-colour"]
    if not words:
        return alone in (["--help"], ["--version"])
    command = words[0]
    if len(words) != 2 or command not in (
        usage.RUN,
        usage.VALIDATE,
        usage.DOT,
        usage.COMPLETION,
    ):
        return False
    if command == usage.COMPLETION and words[1] not in ("bash", "zsh", "fish"):
        return False
    return all(command in usage.OPTIONS[name].commands for name in given)


def is_number(text: str, most: int = _MAX_NUMBER) -> bool:
    """Whether the original reads a text as an unsigned number; it takes an empty one for 0."""
    digits = text.removeprefix("+") if text != "+" else text
    if digits == "" and text == "":
        return True
    if not digits or not digits.isascii() or not digits.isdigit():
        return False
    significant = digits.lstrip("0")
    return len(significant) <= 20 and int(significant or "0") <= most


def find_similar(name: str, options: Iterable[str]) -> str | None:
    """Return the option that was probably meant by one that there is not."""
    best: tuple[int, str] | None = None
    for known in options:
        distance = _edit_distance(name, known)
        if distance <= _SIMILAR and (best is None or distance < best[0]):
            best = (distance, known)
    return best[1] if best is not None else None


def _edit_distance(one: str, other: str) -> int:
    if abs(len(one) - len(other)) > _SIMILAR:
        return _SIMILAR + 1
    row = list(range(len(other) + 1))
    for index, left in enumerate(one, 1):
        diagonal, row[0] = row[0], index
        for position, right in enumerate(other, 1):
            diagonal, row[position] = (
                row[position],
                min(row[position] + 1, row[position - 1] + 1, diagonal + (left != right)),
            )
    return row[-1]
