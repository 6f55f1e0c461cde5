"""A job's graph out of its factfile and arguments, kept for a while: neither ever changes."""

import asyncio
from collections.abc import Sequence
from typing import Final

from factotum.core.commandline import arguments
from factotum.core.errors import FactotumError
from factotum.core.factfile import environment, tags
from factotum.core.factfile.bounds import Bounds
from factotum.core.factfile.document import Factfile
from factotum.gateway.drawing import boxes, layout
from factotum.gateway.drawing.boxes import Graph
from factotum.gateway.drawing.layout import Layout
from factotum.gateway.v1.models import BoxShape, GraphShape
from factotum.jobs.views import JobDetail

_KEPT: Final = 64
_ALONE: Final = 3
"""Graphs drawn at once: each takes a thread and the interpreter's time."""

Drawn = tuple[Graph, Layout]


class Graphs:
    """Draws graphs. Belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, Drawn] = {}
        self._turns = asyncio.Semaphore(_ALONE)

    async def of_job(self, detail: JobDetail) -> Drawn:
        """Return a job's graph and its layout."""
        key = detail.job.key
        drawn = self._kept.get(key)
        if drawn is None:
            names = tuple(task.name for task in detail.tasks)
            drawn = await self.draw(detail.factfile, detail.args, detail.job.name, names)
            if not detail.factfile:
                return drawn  # it could not be read this time
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = drawn
        return drawn

    async def draw(
        self, factfile: str, args: Sequence[str], name: str, names: Sequence[str]
    ) -> Drawn:
        """Draw a graph.

        Args:
            factfile: its text.
            args: options of the run.
            name: of the job.
            names: the tasks' as they are known; where the factfile says otherwise, as for
                jobs of a foreign runner, they count, and nothing joins them.
        """
        async with self._turns:
            return await asyncio.to_thread(_draw, factfile, args, name, names)


def _draw(factfile: str, args: Sequence[str], name: str, names: Sequence[str]) -> Drawn:
    try:
        graph = _read(factfile, args)
    except FactotumError:
        graph = boxes.of_names(name, names)
    if names and graph.names != tuple(names):
        graph = boxes.of_names(name, names)
    return graph, layout.arrange(graph)


def _read(factfile: str, args: Sequence[str]) -> Graph:
    given = arguments.parse(["run", "factfile", *args])
    pairs = tags.parse_pairs(given.values("--tag"))
    variables = environment.build_variables(given.value("--env"), pairs)
    parsed = Factfile.parse(factfile, variables, Bounds())
    return boxes.of_factfile(parsed, given.value("--start"))


def shape(drawn: Drawn) -> GraphShape:
    """Show a graph with its layout."""
    graph, placed = drawn
    return GraphShape(
        name=graph.name,
        names=list(graph.names),
        boxes=[
            BoxShape(
                tasks=box.tasks,
                level=box.level,
                parents=box.parents,
                x=place.x,
                y=place.y,
                width=place.width,
                height=place.height,
                columns=place.columns,
            )
            for box, place in zip(graph.boxes, placed.places, strict=True)
        ],
        width=placed.width,
        height=placed.height,
    )
