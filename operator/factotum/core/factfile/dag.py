"""The graph of tasks: building it, the order of its levels, descendants, the reduced run.

Works on positions in the factfile, not on tasks, and knows nothing of running
them. Everything is linear in tasks plus edges.
"""

from __future__ import annotations

from factotum.core import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Dag:
    """Tasks by position, with the edges between them.

    Children are kept in file order here; the original walks them newest
    first, so every walk below goes backwards.
    """

    __slots__ = ("_indices", "children", "names", "parents")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.parents: list[list[int]] = []
        self.children: list[list[int]] = []
        self._indices: dict[str, int] = {}

    def add(self, name: str, depends_on: Iterable[str]) -> int:
        """Add a task behind the ones added so far and return its position.

        Raises:
            DuplicateTaskError: The name is taken.
            SelfDependencyError: The task names itself.
            UnknownDependencyError: A dependency was not added before.
        """
        if name in self._indices:
            raise errors.DuplicateTaskError(name)
        wanted = dict.fromkeys(depends_on)  # duplicates are allowed and mean nothing
        if name in wanted:
            raise errors.SelfDependencyError(name)
        parents = []
        for dependency in wanted:
            parent = self._indices.get(dependency)
            if parent is None:
                raise errors.UnknownDependencyError(name, dependency)
            parents.append(parent)

        index = len(self.names)
        self._indices[name] = index
        self.names.append(name)
        self.parents.append(parents)
        self.children.append([])
        for parent in parents:
            self.children[parent].append(index)
        return index

    def find(self, name: str) -> int | None:
        """Return the position of the task with this name."""
        return self._indices.get(name)

    def levels(self, start: str | None = None) -> list[list[int]]:
        """Return the tasks of the run, level by level, in the original's order.

        Args:
            start: Begin at this task: it is level 0 on its own, its own
                dependencies do not count, and only its descendants follow.

        Raises:
            UnknownStartError: There is no such task.
            StartNotAllowedError: A descendant needs a task outside the run.
        """
        if start is None:
            roots = [index for index, parents in enumerate(self.parents) if not parents]
            return self._order(roots[::-1], range(len(self.names)))
        first = self._indices.get(start)
        if first is None:
            raise errors.UnknownStartError(start)
        members = self.descendants(first)
        inside = {first, *members}
        for member in members:
            if not all(parent in inside for parent in self.parents[member]):
                raise errors.StartNotAllowedError(start)
        return self._order([first], members)

    def descendants(self, index: int) -> list[int]:
        """Return all direct and indirect children, in file order."""
        seen = {index}
        pending = [index]
        while pending:
            for child in self.children[pending.pop()]:
                if child not in seen:
                    seen.add(child)
                    pending.append(child)
        seen.discard(index)
        return sorted(seen)

    def _order(self, first_level: list[int], others: Iterable[int]) -> list[list[int]]:
        """Return the levels below `first_level`, each in the original's order.

        The original repeats whole frontiers, which is exponential. But a task
        of level k can only be reached in step k from parents that are
        themselves of level k-1, so the order inside a level follows from the
        level before alone.
        """
        depth = dict.fromkeys(first_level, 0)
        for index in others:  # ascending, so parents come first
            if index not in depth:
                depth[index] = 1 + max(
                    depth[parent] for parent in self.parents[index] if parent in depth
                )
        levels = [first_level]
        while True:
            below = len(levels)
            following: dict[int, None] = {}
            for index in levels[-1]:
                for child in reversed(self.children[index]):
                    if depth.get(child) == below:
                        following[child] = None
            if not following:
                return levels
            levels.append(list(following))
