"""Factfiles that are made to keep a processor busy or to fill a memory. Pure, and measured.

Anybody who reaches the admission port can bring one, and whoever may create FactotumJobs can
have the controller read one: it reads everybody's in one process.
"""

import json
import time
import tracemalloc

import pytest

from factotum.controller.admission import judging
from factotum.controller.admission.judging import Question
from factotum.controller.facts.observed import Refused
from factotum.controller.observe.factfile import accept
from factotum.controller.pod_template.judging import Bounds
from factotum.kube.resource import FactotumJob
from support.builders.manifests import make_factfile, make_job, make_task

TASKS = "spec.factfile.data.tasks"


def task(name, *, after=(), **fields):
    return make_task(name, *after, **fields)


def job(*tasks, **spec):
    made = make_job("default", make_factfile(*tasks))
    made["spec"] |= spec
    return made


def violations(raw):
    return judging.judge(Question("u", raw, None), Bounds("factotum-operator")).violations


def controllers_words(raw):
    """Return what the controller would write into the status."""
    stored = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2030-01-01T00:00:00Z"}
    seen = FactotumJob.from_raw(raw | {"metadata": raw["metadata"] | stored})
    fact = accept(seen, json.dumps(raw["spec"]["factfile"]), seen.name)
    assert isinstance(fact, Refused)
    return fact.message


MANY = {
    "edges": lambda n: task(f"t{n}", after=[f"t{m}" for m in range(max(0, n - 60), n)]),
    "tags": lambda n: task(f"t{n}", arguments=["{{a}}" * 20] * 3),
    "sections": lambda n: task(f"t{n}", arguments=["{{#a}}" * 40 + "{{/a}}" * 40]),
    "unknown": lambda n: task(f"t{n}", after=["none"] * 50),
}
LONG = {"open tags": "{{" * 100_000, "deep sections": "{{#a}}" * 20_000}


@pytest.mark.parametrize("kind", [*MANY, *LONG])
def test_two_thousand_tasks_are_judged_in_bounded_time(kind):
    many = [MANY[kind](n) for n in range(2000)] if kind in MANY else []
    tasks = many or [task("a", arguments=[LONG[kind]])]
    raw = job(*tasks, env={"a": "x" * 50})
    began = time.process_time()
    violations(raw)

    assert time.process_time() - began < 5


ODD_SHAPES = {
    "tasks without anything": lambda: {"tasks": [{}] * 300_000},
    "tasks that are none": lambda: {"tasks": [1] * 400_000},
    "a field that is none": lambda: {"tasks": [task("a") | {"arguments": [1] * 400_000}]},
    "fields that nobody knows": lambda: {"tasks": [], **{f"x{n}": 1 for n in range(80_000)}},
}


@pytest.mark.parametrize("make", ODD_SHAPES.values(), ids=ODD_SHAPES)
def test_a_shape_that_is_wrong_in_many_places_costs_no_more_than_another(make):
    raw = job()
    raw["spec"]["factfile"]["data"] |= make()
    tracemalloc.start()
    began = time.process_time()
    found = violations(raw)
    seconds = time.process_time() - began
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found[0][0] == "spec.factfile"
    assert seconds < 5
    assert most < 64 * 1024 * 1024


FILLED = {
    "one field": [task("a", arguments=["{{a}}" * 20_000])],
    "many fields, each on its own": [
        task("a", arguments=["{{=<% %>=}}", *["{{a}}" * 200] * 200], after=["b"])
    ],
    "before something else is found": [task("a", arguments=["{{a}}" * 20_000], after=["b"])],
}


@pytest.mark.parametrize("tasks", FILLED.values(), ids=FILLED)
def test_what_is_gigabytes_once_it_is_filled_in_is_refused_as_by_the_controller(tasks):
    raw = job(*tasks, env={"a": "x" * 32_768})
    tracemalloc.start()
    found = violations(raw)
    words = controllers_words(raw)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == [("spec.factfile", words)]
    assert "fill in more than 4194304 characters" in words
    assert most < 64 * 1024 * 1024


def test_a_list_of_what_is_wrong_ends_where_too_much_would_be_filled_in():
    large = [task(f"t{n}", arguments=["{{a}}" * 120]) for n in range(100)]
    # The delimiters hold for the whole document, and for this argument alone.
    raw = job(task("a", arguments=["{{=<% %>=}}"], after=["b"]), *large, env={"a": "x" * 32_768})
    began = time.process_time()
    found = violations(raw)

    assert [path for path, _ in found] == ["spec.factfile", f"{TASKS}[0].dependsOn[0]"]
    assert time.process_time() - began < 1


def test_what_is_too_large_to_be_looked_at_in_time_is_left_to_the_controller():
    raw = job(task("a", after=["nobody"], arguments=["x" * 1_100_000]))

    found, warnings = judging.judge(Question("u", raw, None), Bounds("factotum-operator"))
    assert found == []
    assert ["too large" in each for each in warnings] == [True]
