"""The graph in Graphviz form, with the original's order and without any escaping."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.core.factfile.document import Factfile


def to_dot(factfile: Factfile, start: str | None = None) -> str:
    """Return the text; there is no line feed at its end.

    Raises:
        StartError: The run cannot begin at `start`.
    """
    tasks = [factfile.tasks[index] for level in factfile.dag.levels(start) for index in level]
    lines = [f'digraph "{factfile.name}" {{']
    lines += [f'    "{task.name}"' for task in tasks]
    lines += [
        f'    "{dependency}" -> "{task.name}"' for task in tasks for dependency in task.depends_on
    ]
    lines.append("}")
    return "\n".join(lines)
