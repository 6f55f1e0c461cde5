"""Graphs laid out and drawn. Pure."""

import re
import time
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from factotum.core.factfile.document import Factfile
from factotum.gateway.drawing import boxes, layout, pictures
from support.server.running import factfile


def graph_of(edges, start=None, name="graph"):
    """Make the graph of a mapping: task -> what it depends on."""
    document = factfile(*["true"] * len(edges), name=name)
    for task, (title, above) in zip(document["data"]["tasks"], edges.items(), strict=True):
        task["name"], task["dependsOn"] = title, list(above)
    import json

    return boxes.of_factfile(Factfile.parse(json.dumps(document), {}), start)


def named(graph):
    return [[graph.names[task] for task in box.tasks] for box in graph.boxes]


def test_a_diamond_has_three_levels():
    graph = graph_of({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")})

    assert [box.level for box in graph.boxes] == [0, 1, 1, 2]
    assert graph.boxes[3].parents == [1, 2]
    assert graph.boxes[0].children == [1, 2]


def test_tasks_that_hang_together_with_the_same_share_a_box_if_they_are_many():
    few = graph_of({"a": (), **{f"f{n}": ("a",) for n in range(5)}})
    many = graph_of({"a": (), **{f"f{n}": ("a",) for n in range(6)}, "z": ("f0", "f1", "f2")})
    all_alike = graph_of({"a": (), **{f"f{n}": ("a",) for n in range(6)}})

    assert len(few.boxes) == 6
    assert len(many.boxes) == 8  # three of them are waited for by another
    assert [len(box.tasks) for box in all_alike.boxes] == [1, 6]


def test_a_run_that_starts_in_the_middle_has_only_what_follows():
    graph = graph_of({"a": (), "b": ("a",), "c": ("b",)}, start="b")

    assert named(graph) == [["b"], ["c"]]
    assert graph.boxes[0].parents == []


def test_no_box_lies_on_another_and_levels_go_from_left_to_right():
    edges = {
        f"t{n}": tuple(f"t{m}" for m in range(max(0, n - 7), n) if (n * m) % 3) for n in range(120)
    }
    graph = graph_of(edges)
    placed = layout.arrange(graph)

    by_level = {}
    for box, place in zip(graph.boxes, placed.places, strict=True):
        by_level.setdefault(box.level, []).append(place)
        for parent in box.parents:
            above = placed.places[parent]
            assert above.x + above.width < place.x
    for places in by_level.values():
        for upper, lower in pairwise(places):
            assert upper.y + upper.height < lower.y
    assert min(place.y for place in placed.places) == layout.MARGIN


@pytest.mark.parametrize(
    "edges",
    [
        {"t0": (), **{f"t{n}": (f"t{n - 1}",) for n in range(1, 2000)}},
        {
            "a": (),
            **{f"t{n}": ("a",) for n in range(1998)},
            "z": tuple(f"t{n}" for n in range(1998)),
        },
    ],
    ids=["chain", "fan"],
)
def test_two_thousand_tasks_are_laid_out_at_once(edges):
    graph = graph_of(edges)
    began = time.process_time()
    again = boxes._arrange(list(graph.boxes))
    placed = layout.arrange(graph)

    assert time.process_time() - began < 2  # 30 ms on an idle machine
    assert len(again) == len(placed.places)
    assert len(graph.boxes) in (2000, 3)


HOSTILE = [
    '<img src=x onerror="alert(1)">',
    '"];x[label="',
    "a\\",
    "]]>\x00\x1b[31m",
    "\u202eesrever",
]


def test_names_are_only_text_in_a_picture():
    graph = graph_of(dict.fromkeys(HOSTILE, ()), name="<script>")
    placed = layout.arrange(graph)

    svg = pictures.to_svg(graph, placed, ["FAILED"])
    root = ET.fromstring(svg)  # noqa: S314 - our own

    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {
        "svg", "g", "title", "rect", "text",
    } | ({"path"} if "<path" in svg else set())  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    titles = [element.text for element in root.iter() if element.tag.endswith("title")]
    assert f"{HOSTILE[0]}: FAILED" in titles or f"{HOSTILE[0]}: WAITING" in titles


def test_names_are_only_text_in_dot():
    graph = graph_of(dict.fromkeys(HOSTILE, ()), name='"}')

    dot = pictures.to_dot(graph, [])

    for line in dot.splitlines()[2:-1]:
        assert re.fullmatch(
            r'  b\d+ \[label="([^"\\]|\\.)*", fillcolor="#\w+", color="#\w+"\];', line
        )
