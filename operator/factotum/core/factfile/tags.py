"""Tags and constraints share one textual form: ``NAME,VALUE`` with oddities of its own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


BLANKS = " \t\r\v\f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)
"""White space but the line feed, as the original's language counts it.

Python's own `strip` takes the control characters 0x1C to 0x1F away as well.
"""

WHITE_SPACE = BLANKS + "\n"


def parse_pair(text: str) -> tuple[str, str] | None:
    """Split at every comma: the first part names, the others joined are the value.

    Returns None if the name is empty, which the original ignores silently.
    """
    name, *rest = text.split(",")
    name = name.strip(WHITE_SPACE)
    return (name, "".join(rest).strip(WHITE_SPACE)) if name else None


def parse_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return the pairs of all texts; of a repeated name the last value counts."""
    return dict(pair for pair in map(parse_pair, texts) if pair is not None)


def to_variables(tags: dict[str, str]) -> dict[str, str]:
    """Return the template variables that tags stand for."""
    return {f"tag:{name}": value for name, value in tags.items()}
