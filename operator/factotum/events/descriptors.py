"""Descriptors put aside for the sender of events.

A wide level of tasks takes all descriptors that the process may have, and takes each
one again as soon as it is free. Without a reserve no event would get out meanwhile.
"""

from __future__ import annotations

import os

NEEDED = 3
"""A connection, and what the resolver or an import opens at once."""


class SpareDescriptors:
    """Holds a few descriptors open, to give them back right before they are needed."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self) -> None:
        """Take as many as are missing, if there are any to take."""
        try:
            while len(self._held) < NEEDED:
                self._held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return  # somebody was quicker; the next time may be better

    def release(self) -> None:
        """Give them back."""
        while self._held:
            os.close(self._held.pop())
