"""Which factfiles are accepted, and what a job then is.

Pure; that ConfigMaps are read is shown on a real API server.
"""

import json

import pytest

from factotum.controller.facts.observed import Plan, Refused
from factotum.controller.observe import factfile as factfiles
from factotum.core.factfile import references
from support.builders.factfiles import CHAIN, SCHEMA, graph
from support.builders.jobs import make_job


def accept(text, **spec):
    return factfiles.accept(make_job(spec={"factfile": {}} | spec), text, "nightly")


def test_a_good_factfile_is_a_plan():
    plan = accept(CHAIN)

    assert isinstance(plan, Plan)
    assert plan.text == CHAIN
    assert plan.digest == references.content_hash(CHAIN)
    assert plan.task_names == ("a", "b", "c")


def test_tasks_are_in_the_order_of_their_levels():
    text = graph("levels", last=(), first=(), middle=("first",), end=("middle", "last"))

    names = accept(text).task_names

    assert set(names[:2]) == {"first", "last"}
    assert names[2:] == ("middle", "end")


def test_a_start_task_leaves_out_what_comes_before():
    assert accept(CHAIN, start="b").task_names == ("b", "c")


def test_names_are_rendered_with_variables_and_tags():
    text = graph("named", **{"load {{what}} for {{tag:team}}": ()})

    plan = accept(text, env={"what": "it"}, tags={"team": "us"})

    assert plan.task_names == ("load it for us",)


def test_tags_make_another_job_and_variables_do_not():
    text = graph("named", load=())
    plain = accept(text).job_id

    assert accept(text, tags={"team": "us"}).job_id != plain
    assert accept(text, env={"what": "it"}).job_id == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"schema": SCHEMA, "data": {"name": "n"}}),
        graph("cycle", a=("b",), b=("a",)),
        graph("self", a=("a",)),
        graph("unknown", a=("nowhere",)),
        CHAIN.replace('"A"', '"{{missing"'),
        CHAIN.replace("[0]", "[]"),
        CHAIN.replace('"continueJob"', '"goOn"'),
    ],
    ids=[
        "nothing",
        "torn",
        "a list",
        "an empty object",
        "no tasks",
        "a cycle",
        "itself",
        "an unknown dependency",
        "a torn template",
        "no way to go on",
        "an unknown field",
    ],
)
def test_a_broken_factfile_is_refused_for_good_in_the_originals_words(text):
    refused = accept(text)

    assert isinstance(refused, Refused)
    assert refused.reason == "InvalidFactfile"
    assert refused.message.startswith("'nightly' is not a valid factotum factfile: ")


def test_a_start_task_that_is_not_there_is_refused_with_the_job_id():
    refused = accept(CHAIN, start="nowhere")

    assert (refused.reason, refused.job_id) == ("InvalidStart", accept(CHAIN).job_id)
    assert refused.message.startswith("The job cannot be started from 'nowhere' because ")


def test_another_content_than_the_accepted_one_is_refused():
    refused = factfiles.changed(accept(CHAIN), "0" * 64)

    assert refused.reason == "FactfileChanged"
    assert "it was 000000000000..." in refused.message
