"""Where boxes are drawn: levels from left to right, sizes fixed, nothing measured.

Linear in boxes and edges. The page and the SVG draw by the same numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from factotum.gateway.drawing.boxes import Box, Graph

TILE: Final = 14
TILE_STEP: Final = 18
PAD: Final = 12
HEAD: Final = 26
"""Height of a frame's title."""
WIDTH, HEIGHT = 190, 46
GAP_X, GAP_Y = 64, 18
MARGIN: Final = 24


@dataclass(frozen=True, slots=True)
class Place:
    """A box's place and size, in pixels from the left upper corner.

    Attributes:
        columns: tiles in a row; 0: a single task.
    """

    x: float
    y: float
    width: float
    height: float
    columns: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """All places, by box, and the size of the whole."""

    places: tuple[Place, ...]
    width: float
    height: float


def arrange(graph: Graph) -> Layout:
    """Place a graph's boxes."""
    sizes = [_size(box) for box in graph.boxes]
    levels: list[list[int]] = []
    for number, box in enumerate(graph.boxes):
        while len(levels) <= box.level:
            levels.append([])
        levels[box.level].append(number)
    tops = _tops(graph.boxes, levels, [size[1] for size in sizes])
    places: list[Place | None] = [None] * len(graph.boxes)
    x = float(MARGIN)
    for level in levels:
        widest = max((sizes[number][0] for number in level), default=WIDTH)
        for number in level:
            width, height, columns = sizes[number]
            places[number] = Place(x, round(tops[number], 1), width, height, columns)
        x += widest + GAP_X
    placed = tuple(place for place in places if place is not None)
    bottom = max((place.y + place.height for place in placed), default=0.0)
    right = max((place.x + place.width for place in placed), default=0.0)
    return Layout(placed, right + MARGIN, bottom + MARGIN)


def _size(box: Box) -> tuple[float, float, int]:
    count = len(box.tasks)
    if count == 1:
        return WIDTH, HEIGHT, 0
    columns = max(9, min(count, math.ceil(math.sqrt(count * 1.6))))
    rows = math.ceil(count / columns)
    inner = columns * TILE_STEP - (TILE_STEP - TILE)
    return (
        max(WIDTH, inner + 2 * PAD),
        HEAD + rows * TILE_STEP - (TILE_STEP - TILE) + PAD,
        columns,
    )


def _tops(
    boxes: Sequence[Box], levels: Sequence[Sequence[int]], heights: Sequence[float]
) -> list[float]:
    """Return how far down each box begins: near what it waits for, none on another."""
    tops = [0.0] * len(boxes)
    for level in levels:
        wanted = []
        for number in level:
            near = boxes[number].parents
            middles = [tops[parent] + heights[parent] / 2 for parent in near]
            middle = sum(middles) / len(middles) if middles else 0.0
            wanted.append(middle - heights[number] / 2)
        below = -math.inf
        for number, top in zip(level, wanted, strict=True):
            tops[number] = max(top, below)
            below = tops[number] + heights[number] + GAP_Y
        # Pushed down only, a level would hang below its parents: take it up by the mean push.
        push = sum(tops[n] - top for n, top in zip(level, wanted, strict=True)) / len(level)
        for number in level:
            tops[number] -= push
    highest = min(tops, default=0.0)
    return [top - highest + MARGIN for top in tops]
