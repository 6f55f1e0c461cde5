"""How wide text is on a terminal, as far as that can be known."""

from __future__ import annotations


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def cut(text: str, columns: int) -> str:
    """Return the text, or as much of its beginning as fits with an ellipsis behind it.

    What is no printable character becomes a question mark: it could move the cursor.
    """
    text = "".join([each if each.isprintable() else "?" for each in text])
    if width(text) <= columns:
        return text
    left = columns - 1
    if left < 0:
        return ""
    for position, each in enumerate(text):
        left -= _width(each)
        if left < 0:
            return text[:position] + "…"
    return text


def _width(character: str) -> int:
    if character < "\x7f":
        return 1
    import unicodedata

    if unicodedata.category(character) in ("Mn", "Me", "Cf") or _is_joined(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _is_joined(character: str) -> bool:
    """Whether it is a vowel or an end of a Hangul syllable, drawn into its beginning."""
    return "\u1160" <= character <= "\u11ff"
