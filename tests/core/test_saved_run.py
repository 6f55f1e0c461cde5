"""A saved verdict, and what a resumed run takes from it. Pure."""

import json

import pytest

from factotum.core import errors
from factotum.core.factfile.document import Factfile
from factotum.core.run import saved_run
from factotum.core.run.execution import Execution
from support.builders.factfiles import CHAIN, FAIL


def run_fail() -> Execution:
    execution = Execution(Factfile.parse(FAIL, {}))
    for code in (0, 5):
        (run,) = execution.take()
        execution.start(run, 7)
        execution.finish(run, code, 3)
    execution.end()
    return execution


def test_a_verdict_tells_every_task():
    document = json.loads(saved_run.render(run_fail()))

    assert document["state"] == "FAILED"
    assert [task["state"] for task in document["tasks"]] == [
        "SUCCEEDED",
        "FAILED",
        "SKIPPED",
        "SKIPPED",
    ]
    assert document["tasks"][0] == {
        "name": "a",
        "state": "SUCCEEDED",
        "returnCode": 0,
        "startedAtNs": 7,
        "durationNs": 3,
    }
    assert document["tasks"][2] == {
        "name": "c",
        "state": "SKIPPED",
        "errorMessage": "the task 'b' failed",
    }


def test_a_resumed_run_keeps_what_succeeded():
    execution = run_fail()

    kept = saved_run.parse_kept(saved_run.render(execution), execution.factfile)

    assert set(kept) == {"a"}
    again = Execution(execution.factfile, kept=kept)
    assert [run.name for run in again.take()] == ["b"]


def test_interrupted_tasks_run_again():
    execution = Execution(Factfile.parse(CHAIN, {}))
    (run,) = execution.take()
    execution.start(run, 7)
    execution.stop()
    execution.finish(run, 0, 3)

    kept = saved_run.parse_kept(saved_run.render(execution), execution.factfile)

    assert kept == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not a document of the format"),
        ('{"format":"other"}', "not a document of the format"),
        ('{"format":"factotum-verdict/1","factfileHash":"x"}', "another factfile"),
    ],
)
def test_other_documents_are_refused(text, problem):
    with pytest.raises(errors.VerdictError, match=problem):
        saved_run.parse_kept(text, Factfile.parse(CHAIN, {}))


def test_another_value_of_a_variable_makes_it_another_factfile():
    text = CHAIN.replace('"A"', '"{{x}}"')
    saved = saved_run.render(Execution(Factfile.parse(text, {"x": "1"})))

    with pytest.raises(errors.VerdictError, match="another factfile"):
        saved_run.parse_kept(saved, Factfile.parse(text, {"x": "2"}))
