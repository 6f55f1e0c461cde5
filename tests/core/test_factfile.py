"""From a factfile's text to its checked value, and which error is told first. Pure."""

import json

import pytest

from factotum.core import errors
from factotum.core.factfile.document import Factfile, to_compact
from support.builders.factfiles import CHAIN, factfile, task


def detail(text: str, variables: dict[str, str] | None = None) -> str:
    with pytest.raises(errors.FactfileError) as caught:
        Factfile.parse(text, {} if variables is None else variables)
    return str(caught.value)


def test_names_arguments_and_dependencies_are_rendered():
    text = factfile(
        "job {{x}}",
        task("t {{x}}", "echo {{x}}", "{{x}}", "{{{x}}}"),
        task("u", "true", after=["t {{x}}"]),
    )

    parsed = Factfile.parse(text, {"x": "<v>"})

    assert parsed.name == "job &lt;v&gt;"
    assert [each.name for each in parsed.tasks] == ["t &lt;v&gt;", "u"]
    assert parsed.tasks[0].command_line == 'echo {{x}} "&lt;v&gt;" "<v>"'
    assert parsed.tasks[1].depends_on == ("t &lt;v&gt;",)
    assert '"command":"echo &lt;v&gt;"' in parsed.compact


def test_without_variables_placeholders_stay():
    text = factfile("job {{x}}", task("t {{", "echo"))

    parsed = Factfile.parse(text, None)

    assert (parsed.name, parsed.tasks[0].name, parsed.compact) == ("job {{x}}", "t {{", text)


def test_no_arguments_leave_a_blank_at_the_end():
    assert (
        Factfile.parse(factfile("x", task("a", "echo hi")), {}).tasks[0].command_line == "echo hi "
    )


def test_compact_form_has_a_fixed_order_and_its_own_escapes():
    document = json.loads(CHAIN)
    document["data"]["name"] = 'ä\x7f"\n/'
    shuffled = {"data": dict(reversed(document["data"].items())), "schema": document["schema"]}

    expected = CHAIN.replace('"name":"chain"', '"name":"ä\\u007f\\"\\n/"')
    assert to_compact(shuffled) == expected


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (
            [task("continue", ok=[])],
            "the task 'continue' has no way to continue successfully.",
        ),
        ([task("ambi", terminate=[0])], "the task 'ambi' has conflicting actions."),
        ([task("a"), task("a")], "the task 'a' is defined more than once"),
        ([task("a", after=["a"])], "the task 'a' cannot depend on itself"),
        (
            [task("b", after=["a"]), task("a")],
            "the task 'b' depends on 'a', which is not defined earlier in the factfile",
        ),
        (
            [task("a", ok=[]), task("b", after=["zz"])],
            "the task 'a' has no way to continue successfully.",
        ),
        (
            [task("b", after=["zz"]), task("a", ok=[])],
            "the task 'b' depends on 'zz', which is not defined earlier in the factfile",
        ),
        ([task("a{{x}}"), task("a{{y}}")], "the task 'a' is defined more than once"),
        (
            [task("a", "echo", "{{x")],
            "argument of the task 'a': a tag is not closed in the template '{{x'",
        ),
        (
            [task("a", "{{#x")],
            "command of the task 'a': a tag is not closed in the template '{{#x'",
        ),
        ([task("{{}}")], "name of the task '{{}}': a tag is empty in the template '{{}}'"),
        (
            [task("a", ok=[]), task("b", "echo", "{{}}")],
            "argument of the task 'b': a tag is empty in the template '{{}}'",
        ),
    ],
)
def test_the_first_semantic_error_is_told(tasks, message):
    assert detail(factfile("x", *tasks)) == message


def test_an_open_tag_in_the_executor_is_an_error():
    broken = task("a") | {"executor": "{{x"}

    assert detail(factfile("x", broken)).startswith("executor of the task 'a': a tag is not closed")


def test_schema_errors_come_before_semantic_ones():
    broken = task("a", ok=[]) | {"more": 1}

    assert detail(factfile("x", broken)).startswith("'/data/tasks/0' - Property conditions")


def test_ten_thousand_tasks_are_no_matter():
    many = [task(f"t{index}", after=[f"t{index - 1}"] if index else []) for index in range(10_000)]

    assert len(Factfile.parse(factfile("x", *many), {"a": "b"}).dag.levels()) == 10_000
