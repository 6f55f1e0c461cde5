"""The state machine of a run: what may start, how ends are judged, who is skipped. Pure.

Random graphs of up to 200 tasks are compared with the simple model of
`support.models`, level by level and eagerly.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.core.factfile.document import Factfile
from factotum.core.run import execution as machine
from factotum.core.run.execution import Execution
from factotum.core.run.results import KeptResult
from support.builders.factfiles import APPLES, CHAIN, DIAMOND, EMPTY, FAIL, NOOP, factfile, task
from support.model import runs as models

CODES = {models.SUCCEEDED: 0, models.NO_OP: 9, models.FAILED: 5}


def build(text: str, start: str | None = None, **options) -> Execution:
    return Execution(Factfile.parse(text, {}), start, **options)


def finish(execution: Execution, name: str, code: int, **more):
    run = execution.find(name)
    return [
        (each.task_name, each.previous, each.current)
        for each in execution.finish(run, code, 10, **more)
    ]


def start_all(execution: Execution, limit: int | None = None) -> list[str]:
    runs = execution.take(limit)
    for run in runs:
        execution.start(run, 1)
    return [run.name for run in runs]


def states(execution: Execution) -> dict[str, str]:
    return {run.name: run.state for run in execution.task_runs}


def test_levels_start_one_after_the_other():
    execution = build(DIAMOND)

    assert start_all(execution) == ["a"]
    assert start_all(execution) == []
    finish(execution, "a", 0)
    assert start_all(execution) == ["c", "b"]
    finish(execution, "b", 0)
    assert start_all(execution) == []
    finish(execution, "c", 0)
    assert start_all(execution) == ["d"]


def test_an_eager_run_has_no_barrier():
    execution = build(
        factfile("x", task("a"), task("b"), task("c", after=["a"]), task("d", after=["b", "c"])),
        eager=True,
    )

    assert start_all(execution) == ["b", "a"]
    finish(execution, "a", 0)
    assert start_all(execution) == ["c"]
    finish(execution, "c", 0)
    assert start_all(execution) == []
    finish(execution, "b", 0)
    assert start_all(execution) == ["d"]


@pytest.mark.parametrize("eager", [False, True])
def test_no_more_start_than_asked_for(eager):
    execution = build(factfile("x", task("a"), task("b"), task("c")), eager=eager)

    assert start_all(execution, 2) == ["c", "b"]
    assert start_all(execution, 0) == []
    finish(execution, "c", 0)
    assert start_all(execution, 1) == ["a"]


def test_a_failure_skips_all_descendants():
    execution = build(FAIL)
    start_all(execution)
    finish(execution, "a", 0)
    start_all(execution)

    moves = finish(execution, "b", 5)

    assert moves == [
        ("b", "RUNNING", "FAILED"),
        ("c", "WAITING", "SKIPPED"),
        ("d", "WAITING", "SKIPPED"),
    ]
    assert start_all(execution) == []
    assert execution.find("d").error_message == "the task 'b' failed"
    assert execution.find("b").error_message == (
        "the task exited with a value not specified in continue_job - 5"
        " (task expects one of the following return codes to continue [0])"
    )
    execution.end()
    assert execution.state == "FAILED"


def test_an_early_end_is_a_success():
    execution = build(NOOP)
    start_all(execution)
    finish(execution, "a", 0)
    start_all(execution)

    moves = finish(execution, "b", 99)

    assert moves == [("b", "RUNNING", "SUCCEEDED_NO_OP"), ("c", "WAITING", "SKIPPED")]
    assert execution.find("c").error_message == "the task 'b' requested early termination"
    execution.end()
    assert execution.state == "SUCCEEDED"


def test_causes_stand_in_the_order_of_their_ends():
    text = factfile("x", task("a"), task("b", terminate=[9]), task("c", after=["a", "b"]))
    execution = build(text)
    start_all(execution)

    finish(execution, "a", 1)
    moves = finish(execution, "b", 9)

    assert moves[1] == ("c", "SKIPPED", "SKIPPED")
    assert execution.find("c").error_message == (
        "the task 'a' failed, the task 'b' requested early termination"
    )


def test_what_could_not_be_started_says_why():
    execution = build(CHAIN)
    start_all(execution)

    finish(execution, "a", -1, error_text="Error executing process - no")

    assert execution.find("a").error_message == "Error executing process - no"
    assert "continue_job - -1" in execution.find("a").failure_reason


def test_a_stop_lets_nothing_start_and_is_no_success():
    execution = build(DIAMOND)
    start_all(execution)

    execution.stop()
    finish(execution, "a", 0)

    assert start_all(execution) == []
    assert execution.is_cut_short
    assert states(execution) == {"a": "SUCCEEDED", "c": "WAITING", "b": "WAITING", "d": "WAITING"}
    execution.end()
    assert execution.state == "FAILED"


def test_a_stop_in_the_last_level_cuts_nothing_short():
    execution = build(factfile("x", task("a")))
    start_all(execution)

    execution.stop()
    finish(execution, "a", 0)

    assert not execution.is_cut_short
    execution.end()
    assert execution.state == "SUCCEEDED"


@pytest.mark.parametrize("code", [0, 9, 5])
def test_interrupted_tasks_fail_whatever_they_return_if_so_wanted(code):
    execution = build(factfile("x", task("a", terminate=[9])), fail_interrupted=True)
    start_all(execution)

    execution.stop()
    finish(execution, "a", code)

    assert execution.find("a").state == "FAILED"
    reason = execution.find("a").error_message
    assert (reason == machine.INTERRUPTED) == (code in {0, 9})


@pytest.mark.parametrize("eager", [False, True])
def test_kept_results_are_not_repeated(eager):
    execution = build(DIAMOND, eager=eager, kept={"a": KeptResult(0, 1, 2), "b": KeptResult(0)})

    assert start_all(execution) == ["c"]
    finish(execution, "c", 0)
    assert start_all(execution) == ["d"]
    assert execution.find("a").kept
    assert execution.executed_count == 1


@pytest.mark.parametrize("eager", [False, True])
def test_a_kept_early_end_skips_what_is_below_it(eager):
    kept = {"b": KeptResult(99, state=models.NO_OP)}
    execution = build(NOOP, eager=eager, kept=kept)

    assert states(execution) == {"a": "WAITING", "b": models.NO_OP, "c": "SKIPPED"}
    assert execution.find("c").error_message == "the task 'b' requested early termination"
    assert start_all(execution) == ["a"]


def test_kept_results_survive_a_failure_above_them():
    execution = build(CHAIN, kept={"c": KeptResult(0)})
    start_all(execution)

    finish(execution, "a", 1)

    assert states(execution) == {"a": "FAILED", "b": "SKIPPED", "c": "SUCCEEDED"}


@pytest.mark.parametrize("eager", [False, True])
def test_a_reduced_run_ignores_what_stands_before_it(eager):
    execution = build(CHAIN, "b", eager=eager)

    assert start_all(execution) == ["b"]
    finish(execution, "b", 0)
    assert start_all(execution) == ["c"]
    assert execution.find("a") is None


def test_a_job_without_tasks_succeeds():
    execution = build(EMPTY)

    assert start_all(execution) == []
    execution.end()
    assert execution.state == "SUCCEEDED"


def test_counts_follow_the_states():
    execution = build(APPLES)
    start_all(execution)
    finish(execution, "apple", 1)

    assert execution.counts == {
        "WAITING": 0,
        "RUNNING": 1,
        "SUCCEEDED": 0,
        "SUCCEEDED_NO_OP": 0,
        "FAILED": 1,
        "SKIPPED": 4,
    }


def test_wide_and_long_runs_are_linear():
    wide = [task("r")] + [task(f"t{index}", after=["r"]) for index in range(10_000)]
    execution = build(factfile("x", *wide), eager=True)
    start_all(execution)

    assert len(finish(execution, "r", 1)) == 10_001


@st.composite
def jobs(draw):
    """Return names, parents, results and an order of ending for up to 200 tasks."""
    count = draw(st.integers(0, 200))
    seed = draw(st.randoms(use_true_random=False))
    spread = draw(st.integers(1, 40))
    parents = [
        sorted({seed.randrange(max(0, index - spread), index) for _ in range(seed.randrange(4))})
        if index
        else []
        for index in range(count)
    ]
    kinds = [models.SUCCEEDED] * 12 + [models.NO_OP, models.FAILED]
    results = {index: seed.choice(kinds) for index in range(count)}
    ending = list(range(count))
    seed.shuffle(ending)
    return [f"t{index}" for index in range(count)], parents, results, ending


def to_text(names, parents):
    return factfile(
        "random",
        *(
            task(name, after=[names[parent] for parent in parents[index]], terminate=[9])
            for index, name in enumerate(names)
        ),
    )


@settings(max_examples=60, deadline=None)
@given(jobs())
def test_any_run_equals_the_simple_model(job):
    names, parents, results, ending = job
    execution = build(to_text(names, parents))
    events = [models.Event("created")]
    first = True
    while batch := execution.take() or first:
        runs = [] if batch is True else batch
        moves = tuple(
            (each.task_name, each.previous, each.current)
            for each in [execution.start(run, 1) for run in runs]
        )
        if first:
            execution.begin()
            events.append(models.Event("started"))
            first = False
        if runs:
            events.append(models.Event("tasks", moves))
        for run in sorted(runs, key=lambda run: ending.index(run.dag_index)):
            moves = finish(execution, run.name, CODES[results[run.dag_index]])
            events.append(models.Event("ended", tuple(moves)))
    execution.end()
    events.append(models.Event("finished"))

    expected = models.run(names, parents, results, ending)
    assert list(states(execution).items()) == list(expected.states.items())
    assert events == expected.events
    skipped = {run.name: run.error_message for run in execution.in_state("SKIPPED")}
    assert skipped == expected.reasons
    assert (execution.state == "FAILED") == expected.job_failed


@settings(max_examples=60, deadline=None)
@given(jobs(), st.integers(1, 20))
def test_eager_runs_end_in_the_same_states(job, limit):
    names, parents, results, ending = job
    execution = build(to_text(names, parents), eager=True)
    running = []
    while True:
        running += start_all(execution, limit - len(running))
        if not running:
            break
        running.sort(key=lambda name: ending.index(names.index(name)))
        name = running.pop(0)
        finish(execution, name, CODES[results[names.index(name)]])
        index = names.index(name)
        assert all(states(execution)[names[parent]] == "SUCCEEDED" for parent in parents[index])
    execution.end()

    expected = models.run(names, parents, results, ending)
    assert states(execution) == expected.states
    assert (execution.state == "FAILED") == expected.job_failed
