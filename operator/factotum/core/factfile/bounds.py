"""How much may be made of one factfile, where one process reads everybody's.

A text of a few kilobytes can have a million violations, or be gigabytes once
its templates are filled in: a command line's own trouble, and the end of a
controller.
"""

from __future__ import annotations

from factotum.core.errors import TooLargeError

_VIOLATIONS = 200
"""More than any status or answer has room for."""
_CHARACTERS = 4 * 1024 * 1024
"""More than a Pod's runner could hand to its shells."""


class Bounds:
    """What one reading of one factfile may use.

    Args:
        violations: of its shape that are listed; further ones are left out.
        characters: that variables may fill in, in all.
    """

    __slots__ = ("_characters", "_left", "violations")

    def __init__(self, *, violations: int = _VIOLATIONS, characters: int = _CHARACTERS) -> None:
        self.violations = violations
        self._characters = characters
        self._left = characters

    def take(self, characters: int) -> None:
        """Count what is filled in.

        Raises:
            TooLargeError: it is too much.
        """
        self._left -= characters
        if self._left < 0:
            raise TooLargeError(self._characters)
