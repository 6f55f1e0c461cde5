"""Prints a result as one JSON document on standard output."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.runner.console import Console


def print_json(console: Console, document: object) -> None:
    """Write the document to standard output, wherever the console's own lines go."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    # An argument's bytes that are not UTF-8 are escapes there.
    console.write(1, text.encode("utf-8", "backslashreplace") + b"\n")
