"""Tags and constraints share one textual form: ``NAME,VALUE`` with oddities of its own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def parse_pair(text: str) -> tuple[str, str] | None:
    """Split at every comma: the first part names, the others joined are the value.

    Returns None if the name is empty, which the original ignores silently.
    """
    name, *rest = text.split(",")
    name = name.strip()
    return (name, "".join(rest).strip()) if name else None


def parse_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return the pairs of all texts; of a repeated name the last value counts."""
    return dict(pair for pair in map(parse_pair, texts) if pair is not None)


def to_variables(tags: dict[str, str]) -> dict[str, str]:
    """Return the template variables that tags stand for."""
    return {f"tag:{name}": value for name, value in tags.items()}
