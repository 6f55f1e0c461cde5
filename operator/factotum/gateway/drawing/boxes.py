"""Tasks put into boxes: those that wait for the same and are waited for by the same share one.

A fan of 500 tasks has 1,000 edges and says one thing. In a box of its own it has
two edges, and its tasks are tiles in a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from factotum.core.factfile.document import Factfile

SHARED: Final = 6
"""From so many tasks on they share a box."""


@dataclass(slots=True)
class Box:
    """One box.

    Attributes:
        tasks: their places in level order.
        level: how many boxes the longest way to it passes.
        parents: places of the boxes that it waits for.
        children: places of the boxes that wait for it.
    """

    tasks: list[int]
    level: int = 0
    parents: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Graph:
    """A run's tasks and how they hang together.

    Attributes:
        name: the factfile's.
        names: the tasks' in level order.
        boxes: by level, those of a level in the order in which they are drawn.
    """

    name: str
    names: tuple[str, ...]
    boxes: tuple[Box, ...]


def of_factfile(factfile: Factfile, start: str | None) -> Graph:
    """Return the graph of a run.

    Raises:
        StartError: the run cannot begin at ``start``.
    """
    levels = factfile.dag.levels(start)
    order = [index for level in levels for index in level]
    place = {index: number for number, index in enumerate(order)}
    parents = [
        sorted(place[parent] for parent in factfile.dag.parents[index] if parent in place)
        for index in order
    ]
    if start is not None and order:
        parents[0] = []  # its own dependencies do not count
    depth = [number for number, level in enumerate(levels) for _ in level]
    names = tuple(factfile.tasks[index].name for index in order)
    return Graph(factfile.name, names, tuple(_arrange(_boxes(parents, depth))))


def of_names(name: str, names: Sequence[str]) -> Graph:
    """Return a graph of tasks of which nothing but their names is known."""
    return Graph(name, tuple(names), tuple(_boxes([[] for _ in names], [0] * len(names))))


def _boxes(parents: Sequence[Sequence[int]], depth: Sequence[int]) -> list[Box]:
    children: list[list[int]] = [[] for _ in parents]
    for task, above in enumerate(parents):
        for parent in above:
            children[parent].append(task)
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for task, above in enumerate(parents):
        alike.setdefault((tuple(above), tuple(children[task])), []).append(task)
    boxes: list[Box] = []
    for tasks in alike.values():
        if len(tasks) >= SHARED:
            boxes.append(Box(tasks, depth[tasks[0]]))
        else:
            boxes += [Box([task], depth[task]) for task in tasks]
    boxes.sort(key=lambda box: (box.level, box.tasks[0]))
    home = {task: number for number, box in enumerate(boxes) for task in box.tasks}
    for number, box in enumerate(boxes):
        box.parents = sorted({home[parent] for parent in parents[box.tasks[0]]})
        for parent in box.parents:
            boxes[parent].children.append(number)
    return boxes


_SWEEPS: Final = 4


def _arrange(boxes: list[Box]) -> list[Box]:
    """Order the boxes of each level so that few edges cross: each near those it belongs to."""
    levels: list[list[int]] = []
    for number, box in enumerate(boxes):
        while len(levels) <= box.level:
            levels.append([])
        levels[box.level].append(number)
    place = {number: at for level in levels for at, number in enumerate(level)}
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        for level in levels if is_down else reversed(levels):
            _sweep(level, boxes, place, is_down=is_down)
    order = [number for level in levels for number in level]
    new = {number: at for at, number in enumerate(order)}
    return [
        Box(
            boxes[number].tasks,
            boxes[number].level,
            sorted(new[parent] for parent in boxes[number].parents),
            sorted(new[child] for child in boxes[number].children),
        )
        for number in order
    ]


def _sweep(level: list[int], boxes: list[Box], place: dict[int, int], *, is_down: bool) -> None:
    near = {
        number: boxes[number].parents if is_down else boxes[number].children for number in level
    }
    weights = {
        number: sum(place[other] for other in others) / len(others) if others else place[number]
        for number, others in near.items()
    }
    level.sort(key=lambda number: weights[number])
    place.update({number: at for at, number in enumerate(level)})
