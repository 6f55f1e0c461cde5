"""What a run's last report means: reason and message of its job's end."""

import pytest

from factotum.core.wire import endings
from support.builders.jobs import make_report


@pytest.mark.parametrize(
    ("letters", "known", "reason", "message"),
    [
        pytest.param("SSS", {}, "Succeeded", "3/3 tasks run", id="success"),
        pytest.param(
            "SFK",
            {"codes": {0: 0, 1: 3}},
            "TaskFailed",
            "task 'b' failed (return code 3); not run: 'c'",
            id="failure",
        ),
        pytest.param(
            "FFK",
            {"codes": {0: 1, 1: 255}},
            "TaskFailed",
            "2 tasks failed: 'a' (return code 1), 'b' (return code 255); not run: 'c'",
            id="two failures",
        ),
        pytest.param(
            "SSF",
            {"codes": {2: -1}, "errors": {2: "Error executing process - Permission denied"}},
            "TaskFailed",
            "task 'c' failed (Error executing process - Permission denied)",
            id="a failure at the end, before its program ran",
        ),
        pytest.param(
            "SSF",
            {"codes": {2: -1}},
            "TaskFailed",
            "task 'c' failed (return code -1)",
            id="a program that did not run, and nobody knows why",
        ),
        pytest.param("SSF", {}, "TaskFailed", "task 'c' failed", id="nobody knows how"),
        pytest.param(
            "SFS",
            {"errors": {1: "x" * 5000}},
            "TaskFailed",
            f"task 'b' failed ({'x' * 200})",
            id="a task's words are cut",
        ),
        pytest.param(
            "SNK",
            {"codes": {1: 4}},
            "EarlyFinish",
            "task 'b' finished the job early (return code 4); not run: 'c'",
            id="early finish",
        ),
        pytest.param(
            "NFK",
            {"codes": {0: 4, 1: 1}},
            "TaskFailed",
            "task 'b' failed (return code 1); not run: 'c'",
            id="a failure beside an early finish",
        ),
    ],
)
def test_an_end_says_which_task_brought_it_and_how(letters, known, reason, message):
    assert endings.ending(make_report(letters, final=True, **known), ["a", "b", "c"]) == (
        reason,
        message,
    )


def test_an_end_names_only_so_many_tasks():
    names = [f"task-{number}" for number in range(35)]

    _, message = endings.ending(make_report("F" * 30 + "K" * 5, final=True), names)

    assert message.startswith("30 tasks failed: 'task-0'")
    assert "'task-19' and 10 more; not run: 'task-30'" in message
