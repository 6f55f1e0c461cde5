"""The small check and the published JSON Schema say the same of any document.

Pure; `jsonschema` is the real library. Its Draft 2020-12 takes ``1.0`` for an
integer and lets ``$`` match before a final line feed, where the original does
neither, so documents with such values are only held against the table.
"""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core.factfile import schema
from support.builders.factfiles import CHAIN, SCHEMA

PUBLISHED = json.loads(Path(schema.__file__).with_name("factfile.schema.json").read_text())
JUNK = st.sampled_from([None, True, 0, 40000, -1, 1.5, "x", [], {}, ["x"], [1, "x"], {"x": 1}])


def paths(value, path=()):
    yield path
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        yield from paths(child, (*path, key))


def replace(document, path, value):
    if not path:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


VALID = json.loads(CHAIN)


@given(st.data())
def test_small_check_and_published_schema_agree(data):
    document = VALID
    for _ in range(data.draw(st.integers(0, 2))):
        every = sorted(paths(document), key=str)
        document = replace(document, data.draw(st.sampled_from(every)), data.draw(JUNK))
        if data.draw(st.booleans()) and isinstance(document, dict):
            document.pop(data.draw(st.sampled_from(["schema", "data", "none"])), None)

    found = schema.find_violations(document)

    validator = jsonschema.Draft202012Validator(PUBLISHED)
    assert bool(found) == (not validator.is_valid(document))
    mine = {
        line.split("'")[1].rsplit("/", 1)[0] if "required" in line else line.split("'")[1]
        for line in found
    }
    theirs = {
        "".join(f"/{key}" for key in error.absolute_path)
        for error in validator.iter_errors(document)
    }
    assert mine == theirs


def test_published_schema_is_a_schema_with_an_id():
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)

    assert PUBLISHED["$id"].startswith("https://")


def test_each_field_of_the_published_schema_is_described():
    def undescribed(node, path):
        for name, child in node.get("properties", {}).items():
            if "description" not in child:
                yield f"{path}/{name}"
            yield from undescribed(child, f"{path}/{name}")

    nodes = [PUBLISHED, *PUBLISHED["$defs"].values()]

    assert [path for node in nodes for path in undescribed(node, "")] == []


TASK = "/data/tasks/0"
INTEGER = "Type of the value is wrong (The value must be integer)"
EXTRA = "Property conditions are not met (Additional properties are not allowed)"


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ((), [], ["'' - Type of the value is wrong (The value must be object)"]),
        (("schema",), "iglu:foo", ["'/schema' - Pattern condition is not met"]),
        (("schema",), SCHEMA + "\n", ["'/schema' - Pattern condition is not met"]),
        (("schema",), "iglu:a/b/c/1-0-0", []),
        (("schema",), "iglu:a/b/c/1-0-\u0660", ["'/schema' - Pattern condition is not met"]),
        (("data", "x"), 1, [f"'/data' - {EXTRA}"]),
        (
            ("data", "tasks", 0, "onResult", "continueJob"),
            [0.0, True, "0"],
            [f"'{TASK}/onResult/continueJob/{index}' - {INTEGER}" for index in range(3)],
        ),
        (
            ("data", "tasks", 0, "onResult", "continueJob"),
            [32768, -1, -1.5, 1e400],
            [
                f"'{TASK}/onResult/continueJob/0' - Maximum condition is not met",
                f"'{TASK}/onResult/continueJob/1' - Minimum condition is not met",
                f"'{TASK}/onResult/continueJob/2' - {INTEGER}",
                f"'{TASK}/onResult/continueJob/2' - Minimum condition is not met",
                f"'{TASK}/onResult/continueJob/3' - {INTEGER}",
                f"'{TASK}/onResult/continueJob/3' - Maximum condition is not met",
            ],
        ),
        (
            (),
            {"x": 1, "y": 2},
            [
                "'/schema' - This property is required",
                "'/data' - This property is required",
                f"'' - {EXTRA}",
                f"'' - {EXTRA}",
            ],
        ),
    ],
)
def test_violations_are_told_in_the_original_words(path, value, lines):
    assert schema.find_violations(replace(VALID, path, value)) == lines


@pytest.mark.parametrize("value", [[{}] * 100, [{"x": n} for n in range(100)], ["a"] * 100])
def test_so_many_are_looked_for_and_no_more(value):
    document = replace(VALID, ("data", "tasks"), value)

    assert schema.find_violations(document, 7) == schema.find_violations(document)[:7]
