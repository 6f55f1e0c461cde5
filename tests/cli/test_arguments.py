"""How a command line is read: messages, order of checks, numbers. In process, no files."""

import pytest

from factotum.core.commandline import arguments, usage


def problem(*argv: str) -> str:
    with pytest.raises(arguments.UsageError) as caught:
        arguments.parse(argv)
    return str(caught.value)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("run",),
        ("run", "f", "g"),
        ("RUN", "f"),
        ("nope", "f"),
        ("",),
        ("validate",),
        ("dot",),
        ("completion", "tcsh"),
        ("run", "f", "--start", "a", "--start", "b"),
        ("run", "f", "--no-colour", "--no-colour"),
        ("run", "f", "--version"),
        ("run", "f", "-h"),
        ("-h", "-v"),
        ("-vh",),
        ("-v", "--dry-run"),
        ("dot", "f", "--env", "{}"),
        ("validate", "f", "--start", "a"),
        ("run", "f", "--overwrite"),
        ("-",),
    ],
)
def test_what_fits_no_usage_is_invalid(argv):
    assert problem(*argv) == f"Invalid arguments.\n\n{usage.USAGE}"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--bogus", "Unknown flag: '--bogus'"),
        (
            "--heartbeat-intervl=3",
            "Unknown flag: '--heartbeat-intervl'. Did you mean '--heartbeat-interval'?",
        ),
        ("--tags", "Unknown flag: '--tags'. Did you mean '--tag'?"),
        ("--no-color", "Unknown flag: '--no-color'. Did you mean '--no-colour'?"),
        ("--Start=b", "Unknown flag: '--Start'. Did you mean '--start'?"),
        ("--st=b", "Unknown flag: '--st'"),
        ("--max-stderr-size=3", "Unknown flag: '--max-stderr-size'"),
        ("-e", "Unknown flag: '-e'"),
        ("-vx", "Unknown flag: '-x'"),
        ("--env", "Expected argument for flag '--env' but reached end of arguments."),
        ("--no-colour=1", "Flag '--no-colour' cannot have an argument, but found '1'."),
        ("--dry-run=", "Flag '--dry-run' cannot have an argument, but found ''."),
    ],
)
def test_single_words_are_judged_first(argument, message):
    assert problem("nonsense", argument) == f"{message}\n\n{usage.USAGE}"


@pytest.mark.parametrize(
    "value", ["abc", " 5", "5 ", "0x10", "1e3", "1.5", "-5", "+", "٣", str(2**64)]
)
def test_bad_numbers_are_told_without_the_usage(value):
    assert problem("run", "f", f"--max-stdouterr-size={value}") == (
        f"Could not decode '{value}' to usize for '--max-stdouterr-size'."
    )
    assert problem("run", "f", "--heartbeat-interval", value) == (
        f"Could not decode '{value}' to u64 for '--heartbeat-interval'."
    )


@pytest.mark.parametrize(
    ("value", "number"), [("", 0), ("5", 5), ("+5", 5), ("007", 7), (str(2**64 - 1), 2**64 - 1)]
)
def test_numbers_are_read(value, number):
    given = arguments.parse(["run", "f", f"--max-stdouterr-size={value}"])

    assert given.number("--max-stdouterr-size") == number
    assert given.number("--heartbeat-interval") is None


@pytest.mark.parametrize(
    ("argv", "operand"),
    [
        (["--no-colour", "run", "f"], "f"),
        (["run", "--start", "b", "f"], "f"),
        (["run", "--", "f"], "f"),
        (["run", "--", "--odd"], "--odd"),
        (["--", "run", "f"], "f"),
        (["run", ""], ""),
        (["run", "-"], "-"),
        (["run", "f", "--tag=a\nb"], "f"),
    ],
)
def test_options_stand_anywhere(argv, operand):
    given = arguments.parse(argv)

    assert (given.command, given.operand) == ("run", operand)


def test_a_value_may_look_like_an_option_or_be_empty():
    given = arguments.parse(["run", "f", "--start", "--dry-run", "--env=", "--tag", "-x", "--tag="])

    assert given.value("--start") == "--dry-run"
    assert given.value("--env") == ""
    assert given.values("--tag") == ["-x", ""]
    assert not given.has("--dry-run")


def test_a_word_that_is_no_choice_is_told_with_the_choices():
    assert problem("run", "f", "--schedule=lazy") == (
        "The value 'lazy' of '--schedule' is none of: levels, eager."
    )


def test_help_explains_every_option():
    text = usage.help_text()

    assert text.startswith(f"Factotum.\n\n{usage.USAGE}\n\nOptions:\n")
    for name, option in usage.OPTIONS.items():
        assert name in usage.USAGE
        assert f"  {name}" in text or f", {name}" in text
        assert option.explanation.split(maxsplit=1)[0] in text
    assert max(len(line) for line in text.partition("Options:")[2].splitlines()) <= 100
