"""The order of levels, the reduced run and the graph's own errors. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core import errors
from factotum.core.factfile import dag


def build(**tasks: list[str]) -> dag.Dag:
    graph = dag.Dag()
    for name, depends_on in tasks.items():
        graph.add(name, depends_on)
    return graph


def names(graph: dag.Dag, start: str | None = None) -> str:
    return " / ".join(
        " ".join(graph.names[index] for index in level) for level in graph.levels(start)
    )


APPLES = {
    "apple": [],
    "turnip": [],
    "orange": ["apple"],
    "egg": ["apple"],
    "potato": ["apple", "egg"],
    "chicken": ["potato", "orange"],
}
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


@pytest.mark.parametrize(
    ("tasks", "levels"),
    [
        pytest.param(APPLES, "turnip apple / egg orange / potato / chicken", id="apples"),
        pytest.param(
            {"a": [], "b": ["a"], "c": ["a"], "banana": ["b", "a"]},
            "a / c b / banana",
            id="banana",
        ),
        pytest.param(
            {
                "hello": [],
                "hello_world": ["hello"],
                "say_hello": ["hello"],
                "say_goodbye": ["say_hello", "hello_world"],
            },
            "hello / say_hello hello_world / say_goodbye",
            id="hello",
        ),
        pytest.param({}, "", id="no-tasks-are-one-empty-level"),
        pytest.param({"a": [], "b": ["a", "a"]}, "a / b", id="a-dependency-may-stand-twice"),
    ],
)
def test_levels_follow_the_original_order(tasks, levels):
    assert names(build(**tasks)) == levels


@pytest.mark.parametrize(
    ("tasks", "start", "levels"),
    [
        pytest.param({"a": [], "b": ["a"], "c": ["b"]}, "b", "b / c", id="chain"),
        pytest.param(DIAMOND, "d", "d", id="the-last-task-alone"),
        pytest.param(DIAMOND, "a", "a / c b / d", id="the-whole-diamond"),
        pytest.param(
            {"s": [], "a": ["s"], "b": ["a"], "c": ["b"], "x": ["s", "c"]},
            "s",
            "s / a / b / c / x",
            id="long-way-round-the-original-refuses-Q7",
        ),
    ],
)
def test_a_run_can_start_at_a_task(tasks, start, levels):
    assert names(build(**tasks), start) == levels


@pytest.mark.parametrize("start", ["b", "c"])
def test_a_start_that_needs_tasks_outside_is_refused(start):
    with pytest.raises(errors.StartNotAllowedError, match="without triggering prior tasks"):
        build(**DIAMOND).levels(start)


def test_an_unknown_start_is_refused():
    with pytest.raises(errors.UnknownStartError, match="could not be found"):
        build(**DIAMOND).levels("nope")


def test_descendants_are_direct_and_indirect():
    graph = build(**APPLES)

    found = [graph.names[index] for index in graph.descendants(graph.find("apple"))]

    assert sorted(found) == ["chicken", "egg", "orange", "potato"]


def test_the_duplicate_is_told_before_the_self_dependency():
    graph = build(a=[])

    with pytest.raises(errors.DuplicateTaskError, match="'a' is defined more than once"):
        graph.add("a", ["a"])


def test_the_self_dependency_is_told_before_unknown_ones():
    with pytest.raises(errors.SelfDependencyError, match="'a' cannot depend on itself"):
        dag.Dag().add("a", ["zz", "a"])


def test_an_unknown_dependency_names_both_tasks():
    with pytest.raises(errors.UnknownDependencyError, match="'a' depends on 'zz'") as caught:
        dag.Dag().add("a", ["zz"])

    assert (caught.value.task, caught.value.dependency) == ("a", "zz")


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 14))
    graph = dag.Dag()
    for index in range(count):
        parents = draw(st.lists(st.integers(0, max(index - 1, 0)), max_size=4))
        graph.add(f"t{index}", [f"t{parent}" for parent in parents if parent < index])
    return graph


def frontier_levels(graph: dag.Dag, first: list[int]) -> list[list[int]]:
    """The written procedure, step by step, without any thought for speed."""
    frontiers = []
    frontier = first
    while frontier:
        frontiers.append(frontier)
        following = []
        for index in frontier:
            following += reversed(graph.children[index])
        frontier = list(dict.fromkeys(following))
    levels = []
    for position, nodes in enumerate(frontiers):
        later = {node for other in frontiers[position + 1 :] for node in other}
        levels.append([node for node in nodes if node not in later])
    return levels or [[]]


@given(graphs())
def test_levels_equal_the_frontier_procedure(graph):
    roots = [index for index, parents in enumerate(graph.parents) if not parents]

    assert graph.levels() == frontier_levels(graph, roots[::-1])


@given(graphs(), st.integers(0, 13))
def test_a_reduced_run_equals_the_frontier_procedure_or_is_refused_rightly(graph, start):
    start %= len(graph.names)
    inside = {start, *graph.descendants(start)}
    needs_more = any(
        parent not in inside for index in inside - {start} for parent in graph.parents[index]
    )

    try:
        levels = graph.levels(f"t{start}")
    except errors.StartNotAllowedError:
        assert needs_more
    else:
        assert not needs_more
        assert levels == frontier_levels(graph, [start])


def test_a_dense_graph_of_many_layers_is_quick():
    graph = dag.Dag()
    for layer in range(60):
        for place in range(25):
            graph.add(
                f"{layer}-{place}", [f"{layer - 1}-{other}" for other in range(25)][: layer * 25]
            )

    assert len(graph.levels()) == 60
