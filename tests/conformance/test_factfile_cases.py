"""Cases of reading and checking factfiles that no recorded run is named after (R-064 to R-095).

Real: the installed command; the recorded runs hold many more of the same kinds.
"""

import json

import pytest

from support.builders.factfiles import CHAIN, factfile, task

NOT_VALID = "'job' is not a valid factotum factfile: "
UNKNOWN_PROPERTY = "Property conditions are not met (Additional properties are not allowed)"
NOT_AN_INTEGER = "Type of the value is wrong (The value must be integer)"


@pytest.fixture
def check(factotum, tmp_path):
    """Write the text as `job`, and validate it or run another command on it."""

    def run(text, *args):
        (tmp_path / "job").write_bytes(text.encode())
        return factotum(*(args or ("validate", "job")))

    return run


def changed(change):
    """Return the chain as text after `change` was applied to it."""
    whole = json.loads(CHAIN)
    change(whole)
    return json.dumps(whole)


def with_code(text):
    return CHAIN.replace('"continueJob":[0]', f'"continueJob":[{text}]', 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "invalid JSON - EOF While parsing value at line 1, column 1", id="R-064"),
        pytest.param(
            changed(lambda whole: whole["data"].update(x=1)),
            f"'/data' - {UNKNOWN_PROPERTY}",
            id="R-073",
        ),
        pytest.param(
            changed(lambda whole: whole["data"]["tasks"][0].update(x=1)),
            f"'/data/tasks/0' - {UNKNOWN_PROPERTY}",
            id="R-074.task",
        ),
        pytest.param(
            changed(lambda whole: whole["data"]["tasks"][0]["onResult"].update(x=1)),
            f"'/data/tasks/0/onResult' - {UNKNOWN_PROPERTY}",
            id="R-074.on-result",
        ),
        pytest.param(
            changed(lambda whole: whole.update(x=1)), f"'' - {UNKNOWN_PROPERTY}", id="R-074.root"
        ),
    ],
)
def test_problem_is_told(text, problem, check):
    run = check(text)

    assert (run.exit, run.out) == (1, f"{NOT_VALID}{problem}\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(changed(lambda whole: whole.update(schema="iglu:a/b/c/1-0-0")), id="R-071"),
        pytest.param(
            json.dumps(json.loads(CHAIN), indent=2).replace("\n", "\r\n"), id="R-095.crlf"
        ),
        pytest.param(CHAIN + " \t\r\n\n", id="R-095.trailing"),
        pytest.param(CHAIN, id="R-095.one-line"),
    ],
)
def test_is_valid(text, check):
    run = check(text)

    assert (run.exit, run.out) == (0, "'job' is a valid Factfile!\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            factfile("j", task("continue", ok=[])),
            "the task 'continue' has no way to continue successfully.",
            id="R-078.no-way",
        ),
        pytest.param(
            factfile("j", task("ambi", terminate=[0])),
            "the task 'ambi' has conflicting actions.",
            id="R-078.conflict",
        ),
    ],
)
def test_dry_run_checks_as_a_run_does(text, problem, check):
    run = check(text, "run", "job", "--dry-run")

    assert (run.exit, run.out) == (1, f"{NOT_VALID}{problem}\n")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("18446744073709551616", id="R-092.above"),
        pytest.param("-9223372036854775809", id="R-092.below"),
    ],
)
def test_integer_beyond_64_bits_is_a_syntax_error(code, check):
    run = check(with_code(code))

    assert run.exit == 1
    assert run.out.startswith(f"{NOT_VALID}invalid JSON - invalid number at line 1, column ")


@pytest.mark.parametrize(
    ("code", "bound"),
    [
        pytest.param("-1.5", "Minimum", id="R-093.fraction"),
        pytest.param("1e400", "Maximum", id="R-093.huge"),
    ],
)
def test_number_that_is_wrong_twice_is_told_twice(code, bound, check):
    run = check(with_code(code))

    place = "'/data/tasks/0/onResult/continueJob/0'"
    wanted = {f"{place} - {NOT_AN_INTEGER}", f"{place} - {bound} condition is not met"}
    assert run.exit == 1
    assert run.out.startswith(NOT_VALID)
    assert set(run.out.removeprefix(NOT_VALID).splitlines()) == wanted


@pytest.mark.parametrize(
    ("tasks", "named"),
    [
        pytest.param(
            [task("one", ok=[]), task("two", after=["zz"])], ["'one' has no way"], id="R-094.first"
        ),
        pytest.param(
            [task("one", after=["zz"]), task("two", ok=[])], ["one", "zz"], id="R-094.reverse"
        ),
    ],
)
def test_first_task_with_a_problem_is_told(tasks, named, check):
    run = check(factfile("j", *tasks))

    assert run.exit == 1
    assert run.out.startswith(NOT_VALID)
    assert all(part in run.out for part in named)
    assert "two" not in run.out
