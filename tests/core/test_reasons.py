"""The table of reasons is the whole truth: nobody uses another, and the reference names them all.

Reads our own sources, the reference and the resource definition.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from factotum.core.words import reasons
from factotum.core.words.reasons import TABLE, Reason
from factotum.core.words.states import JobState, RunState

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "operator" / "factotum").rglob("*.py"))
WORDS = {value for name, value in vars(Reason).items() if name.isupper()}
KUBERNETES = {
    "Invalid",
    "CreateContainerConfigError",
    "Preempting",
    "NodeLost",
    "Shutdown",
    "SchedulingGated",
    "Unschedulable",
    "ErrImagePull",
}
"""Its words for what keeps a Pod from starting or ended it, as far as we know them."""
CONDITIONS = {"JobWorking", "JobQueued", "JobFailed"}
REFERENCE = (ROOT / "docs" / "reference" / "reasons.md").read_text()


def reasons_in(tree):
    """Find what a module gives as a reason: ``reason=...``, ``{"reason": ...}``, ``Reason.X``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            yield from words_of(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "reason":
                    yield from words_of(value)
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Reason":
            yield getattr(Reason, node.attr)


def words_of(value):
    for node in ast.walk(value):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"([A-Z][a-z]+){1,5}", text):
            yield text


def rows_of(text):
    """Return the cells of each row of a Markdown table, but those of its head."""
    for row in text.splitlines():
        if row.startswith("| ") and not row.startswith("| reason"):
            yield [cell.strip() for cell in row.strip("|").split("|")]


def documented():
    """Return each word that is explained, with the state and outcome of its section."""
    section = REFERENCE.partition("## What each means")[2].partition("\n## ")[0]
    found = {}
    for part in section.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        for words, *_ in rows_of(text):
            found |= dict.fromkeys(re.findall(r"\w+", words), title.strip())
    return found


def seen():
    """Return state, outcome and type of the Event of each word in the table that a test makes."""
    section = REFERENCE.partition("## What the tools make of it")[2]
    return {
        word: (state, outcome, event.partition(",")[0])
        for word, _, state, outcome, event, *_ in rows_of(section)
    }


@cache
def constants_of(path):
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }


def test_every_word_has_a_row_and_every_row_a_word():
    assert set(TABLE) == WORDS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_gives_a_reason_of_its_own(path):
    found = set(reasons_in(ast.parse(path.read_text())))

    assert found <= WORDS | KUBERNETES | CONDITIONS


def test_a_reason_of_ones_own_would_be_found():
    told = ast.parse("f(reason='Boredom'); {'reason': x or 'Weather'}; y(reason=Reason.LOST)")

    assert set(reasons_in(told)) == {"Boredom", "Weather", "Lost"}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_no_module_spells_a_reason_but_the_table(word):
    spelled = [
        path.name
        for path in MODULES
        if path.name != "reasons.py" and word in constants_of(path) and len(word) > 10
    ]

    assert spelled == []


def test_every_row_is_a_state_that_the_resource_allows():
    (crd,) = (ROOT / "crds").glob("*factotumjobs*.yaml")
    text = crd.read_text()
    pairs = set(re.findall(r"'([A-Z]+/[A-Z]+)'", text))
    assert yaml.load(text, Loader=yaml.CSafeLoader)["spec"]["names"]["kind"] == "FactotumJob"
    assert len(pairs) == 4

    assert {f"{row.state}/{row.outcome}" for row in TABLE.values()} == pairs


@pytest.mark.parametrize("word", sorted(WORDS))
def test_the_reference_tells_of_every_reason_what_the_table_says(word):
    row = TABLE[word]

    is_end = row.state == JobState.DONE
    assert documented()[word] == (f"{row.state}/{row.outcome}" if is_end else row.state)
    assert seen()[word] == (row.state, row.outcome, row.notice or "none")


def test_the_reference_names_no_reason_that_there_is_not():
    assert set(documented()) <= WORDS | KUBERNETES
    assert set(seen()) <= WORDS | KUBERNETES


def test_an_end_and_a_turn_are_told_by_an_event_and_so_is_trouble_before_it():
    turns = {Reason.RESUMED, Reason.SUSPENDED}
    for word, row in TABLE.items():
        assert row.notice in ("", "Normal", "Warning"), word
        if row.state == JobState.DONE:
            assert row.notice, word
        else:
            assert (row.notice == "Normal") == (word in turns), word
        if row.outcome == RunState.FAILED:
            asked_for = word == Reason.CANCELLED
            assert row.notice == ("Normal" if asked_for else "Warning"), word
    quiet = {word for word, row in TABLE.items() if not row.notice}
    assert quiet == {
        "WaitingForWorker",
        "WaitingForJobId",
        "QueueFull",
        "PodPending",
        "Claimed",
        "PodGone",
        "Suspending",
        "Cancelling",
    }


def test_only_a_run_that_failed_is_tried_again():
    tried_again = {word for word, row in TABLE.items() if row.retried}

    assert tried_again == {
        Reason.TASK_FAILED,
        Reason.INTERRUPTED,
        Reason.DEADLINE_EXCEEDED,
        Reason.LOST,
        Reason.OOM_KILLED,
        Reason.EVICTED,
    }
    assert all(reasons.is_retried(word) for word in ("Preempting", "NodeLost", "Shutdown"))
    assert not reasons.is_retried(Reason.INVALID_FACTFILE)


def test_only_an_end_can_be_none_of_factotums_business():
    assert {TABLE[word].state for word in WORDS if not TABLE[word].ran} == {JobState.DONE}


def test_a_reason_that_is_kubernetes_own_is_a_run_that_was():
    assert reasons.ran("Preempting")
    assert reasons.notice_of("Preempting", RunState.FAILED) == "Warning"
    assert reasons.notice_of("Preempting", RunState.SUCCEEDED) == "Normal"
