"""The operator's log: one line for each thing that is said.

Users' words are in it: names, messages of admission, what a resolver was asked
for. A line end among them must not look like a line of ours.
"""

import logging


class OneLine(logging.Filter):
    """Makes every message one line; what cannot be printed is shown as in Python."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; none is left out."""
        text = record.getMessage()
        if not text.isprintable():
            record.msg, record.args = "".join(map(_shown, text)), ()
        return True


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
