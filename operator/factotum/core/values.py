"""The base of small values: compared, shown and changed by their slots.

What ``dataclasses`` and ``typing.NamedTuple`` would do, but a runner's first
task waits for its imports, and those two cost more than the claim.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Value:
    """A value made of the attributes in ``__slots__``, which its __init__ takes by name."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment] # they hold mappings

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def replace(self, **changes: Any) -> Self:
        """Return the value with some attributes changed."""
        return type(self)(**{name: getattr(self, name) for name in self.__slots__} | changes)
