"""A graph as a picture of its own: SVG, drawn as the page draws it, and DOT for Graphviz."""

from collections.abc import Sequence
from typing import Final

from factotum.core.words.states import TaskState
from factotum.gateway.drawing import layout
from factotum.gateway.drawing.boxes import Graph
from factotum.gateway.drawing.layout import Layout, Place

_COLOURS: Final = {
    TaskState.WAITING: ("#f4f5f7", "#8a94a3", "○"),
    TaskState.RUNNING: ("#dbeafe", "#1d4ed8", "▶"),
    TaskState.SUCCEEDED: ("#dcf3e4", "#166534", "✓"),
    TaskState.SUCCEEDED_NO_OP: ("#dcf3e4", "#166534", "✓"),
    TaskState.FAILED: ("#fde2e1", "#b42318", "✕"),
    TaskState.SKIPPED: ("#f1ecdf", "#7a5c12", "⤼"),
}
_TEXT: Final = 22
"""Characters of a name that fit into a box."""
_MAX_EDGES: Final = 20_000


def to_svg(graph: Graph, placed: Layout, states: Sequence[str]) -> str:
    """Draw a graph.

    Args:
        graph: the tasks.
        placed: where.
        states: the tasks', in level order; shorter: the others wait.
    """
    states = [*states, *[TaskState.WAITING] * (len(graph.names) - len(states))]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{placed.width:g}"'
        f' height="{placed.height:g}" viewBox="0 0 {placed.width:g} {placed.height:g}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{_escape(graph.name)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<g fill="none" stroke="#9aa4b2" stroke-width="1.25">',
    ]
    edges = (
        (placed.places[parent], placed.places[number])
        for number, box in enumerate(graph.boxes)
        for parent in box.parents
    )
    lines += [_edge(*edge) for edge, _ in zip(edges, range(_MAX_EDGES), strict=False)]
    lines.append("</g>")
    for box, place in zip(graph.boxes, placed.places, strict=True):
        if place.columns:
            lines += _frame(graph, box.tasks, place, states)
        else:
            lines += _task(graph.names[box.tasks[0]], place, states[box.tasks[0]])
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _edge(source: Place, target: Place) -> str:
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x, target.y + target.height / 2
    bend = max(24.0, (x2 - x1) / 2)
    return f'<path d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"/>'


def _task(name: str, place: Place, state: str) -> list[str]:
    fill, ink, sign = _COLOURS[state]
    return [
        f'<g><title>{_escape(name)}: {state}</title><rect x="{place.x:g}" y="{place.y:g}"'
        f' width="{place.width:g}" height="{place.height:g}" rx="8" fill="{fill}" stroke="{ink}"/>',
        f'<text x="{place.x + 12:g}" y="{place.y + 28:g}" fill="{ink}">{sign}</text>'
        f'<text x="{place.x + 30:g}" y="{place.y + 28:g}" fill="#16202e">'
        f"{_escape(_shorten(name))}</text></g>",
    ]


def _frame(graph: Graph, tasks: Sequence[int], place: Place, states: Sequence[str]) -> list[str]:
    lines = [
        f'<rect x="{place.x:g}" y="{place.y:g}" width="{place.width:g}" height="{place.height:g}"'
        ' rx="8" fill="#fbfbfc" stroke="#9aa4b2"/>',
        f'<text x="{place.x + layout.PAD:g}" y="{place.y + 18:g}" fill="#16202e">'
        f"{len(tasks)} tasks</text>",
    ]
    for number, task in enumerate(tasks):
        row, column = divmod(number, place.columns)
        fill, ink, _ = _COLOURS[states[task]]
        lines.append(
            f'<rect x="{place.x + layout.PAD + column * layout.TILE_STEP:g}"'
            f' y="{place.y + layout.HEAD + row * layout.TILE_STEP:g}" width="{layout.TILE}"'
            f' height="{layout.TILE}" rx="3" fill="{fill}" stroke="{ink}">'
            f"<title>{_escape(graph.names[task])}: {states[task]}</title></rect>"
        )
    return lines


def to_dot(graph: Graph, states: Sequence[str]) -> str:
    """Write a graph for Graphviz: a box of several tasks is a node that names how many."""
    states = [*states, *[TaskState.WAITING] * (len(graph.names) - len(states))]
    lines = [
        f"digraph {_quote(graph.name)} {{",
        '  rankdir="LR"; node [shape="box", style="filled,rounded", fontname="sans-serif"];',
    ]
    for number, box in enumerate(graph.boxes):
        if len(box.tasks) == 1:
            fill, ink, _ = _COLOURS[states[box.tasks[0]]]
            label = graph.names[box.tasks[0]]
        else:
            fill, ink = "#fbfbfc", "#9aa4b2"
            listed = ", ".join(graph.names[task] for task in box.tasks[:3])
            label = f"{len(box.tasks)} tasks: {listed}, ..."
        lines.append(f'  b{number} [label={_quote(label)}, fillcolor="{fill}", color="{ink}"];')
    lines += [
        f"  b{parent} -> b{number};"
        for number, box in enumerate(graph.boxes)
        for parent in box.parents
    ]
    lines.append("}")
    return "\n".join(lines) + "\n"


def _shorten(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def _quote(text: str) -> str:
    """Quote for DOT; a backslash would begin one of its own escapes."""
    safe = "".join(c if c.isprintable() else " " for c in text)
    return '"{}"'.format(safe.replace("\\", "\\\\").replace('"', '\\"'))


def _escape(text: str) -> str:
    """Escape for XML, which has no word for most control characters."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return (
        safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )
