"""A second, simple model of a run, for properties: no thought for speed, nothing of ours in it.

Tasks are numbers in file order. A run is told by level, with all tasks of a level
ending in a given order.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

SUCCEEDED, NO_OP, FAILED = "SUCCEEDED", "SUCCEEDED_NO_OP", "FAILED"


class Event(NamedTuple):
    """What a listener is told: a word, and (task, previous, current) per transition."""

    kind: str
    transitions: tuple[tuple[str, str, str], ...] = ()


class Outcome(NamedTuple):
    """What a run leads to."""

    states: dict[str, str]
    reasons: dict[str, str]
    events: list[Event]
    job_failed: bool


def order_levels(parents: Sequence[Sequence[int]]) -> list[list[int]]:
    """Follow the written procedure: frontiers, each without the nodes of later ones."""
    children: list[list[int]] = [[] for _ in parents]
    for index, above in enumerate(parents):
        for parent in dict.fromkeys(above):
            children[parent].insert(0, index)  # newest first
    frontier = [index for index in reversed(range(len(parents))) if not parents[index]]
    frontiers = []
    while frontier:
        frontiers.append(frontier)
        frontier = list(dict.fromkeys(child for node in frontier for child in children[node]))
    return [
        [node for node in nodes if not any(node in later for later in frontiers[depth + 1 :])]
        for depth, nodes in enumerate(frontiers)
    ] or [[]]


def below(parents: Sequence[Sequence[int]], top: int) -> set[int]:
    """Return the descendants of a task."""
    found: set[int] = set()
    for index, above in enumerate(parents):  # parents stand before their children
        if any(parent == top or parent in found for parent in above):
            found.add(index)
    return found


def run(
    names: Sequence[str],
    parents: Sequence[Sequence[int]],
    results: Mapping[int, str],
    ending: Sequence[int],
) -> Outcome:
    """Run level by level.

    Args:
        names: the tasks' names, in file order.
        parents: what each depends on.
        results: what each task that runs comes to.
        ending: in which order tasks of one level end: the one that stands first, first.
    """
    levels = order_levels(parents)
    in_order = [node for level in levels for node in level]
    states = dict.fromkeys(in_order, "WAITING")
    reasons: dict[int, list[str]] = {}
    events = [Event("created")]
    for depth, level in enumerate(levels):
        started = [node for node in level if states[node] == "WAITING"]
        for node in started:
            states[node] = "RUNNING"
        if depth == 0:
            events.append(Event("started"))
        if started:
            moves = tuple((names[node], "WAITING", "RUNNING") for node in started)
            events.append(Event("tasks", moves))
        for node in sorted(started, key=ending.index):
            states[node] = results[node]
            moves = ((names[node], "RUNNING", results[node]),)
            if results[node] != SUCCEEDED:
                why = "failed" if results[node] == FAILED else "requested early termination"
                gone = below(parents, node)
                for other in (each for each in in_order if each in gone):
                    moves += ((names[other], states[other], "SKIPPED"),)
                    states[other] = "SKIPPED"
                    reasons.setdefault(other, []).append(f"the task '{names[node]}' {why}")
            events.append(Event("ended", moves))
    events.append(Event("finished"))
    return Outcome(
        {names[node]: states[node] for node in in_order},
        {names[node]: ", ".join(texts) for node, texts in reasons.items()},
        events,
        FAILED in states.values(),
    )
