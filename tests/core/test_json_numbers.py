"""Numbers as the original's parser reads them, told the same way by both of our readers.

`jsontext` reads a document, `jsonsyntax` words what is wrong with it: what one refuses the
other must explain, and what one takes the other must find nothing in. Pure.
"""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factotum.core import errors, jsontext
from factotum.core.factfile import jsonsyntax
from factotum.core.factfile.document import Factfile
from support.builders.factfiles import factfile, task

MAX = 2**64 - 1


def reads(text: str) -> bool:
    try:
        jsontext.parse(text)
    except jsontext.BadJsonError:
        return False
    return True


def finds_fault(text: str) -> bool:
    return jsonsyntax.explain(text).problem != "nested too deeply"  # its word for "nothing wrong"


@pytest.mark.parametrize(
    ("number", "column"),
    [
        ("18446744073709551616.5", 20),
        ("184467440737095516150.0", 21),
        ("-18446744073709551616.5", 21),
        ("18446744073709551616e0", 20),
        ("18446744073709551616E-30", 20),
        ("-99999999999999999999e+1", 21),
        ("123456789012345678901234567890.123e4", 21),
        pytest.param("1" * 5000 + ".5", 21, id="thousands-of-digits"),
    ],
)
def test_the_whole_part_of_a_broken_number_is_bounded_like_an_integer(number, column):
    assert not reads(number)
    assert str(jsonsyntax.explain(number)).endswith(f"invalid number at line 1, column {column}")


@pytest.mark.parametrize(
    "number",
    [
        f"{MAX}.5",
        f"-{MAX}.5",
        f"-{MAX}e0",
        f"{MAX}E-400",
        "0.00000000000000000000000000000000000000001",
        "1e400",
        "-1e-400",
        "-0",
        "-0.0",
        "0e0",
        pytest.param("9." + "9" * 5000, id="thousands-of-digits"),
        "-9223372036854775809.0",
    ],
)
def test_numbers_within_the_bounds_are_read(number):
    assert reads(number)
    assert not finds_fault(number)


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        " \n{}\r\n",
        "[{}]",
        "[1,{},2]",
        '{{"a":{}}}',
        '{{"a":[{{"b":{}}}],"c":0}}',
        '{{"schema":"x","data":{{"name":"y","tasks":[{}]}}}}',
    ],
)
@pytest.mark.parametrize(
    "number", [f"{MAX + 1}.5", f"-{MAX + 1}e1", f"{MAX + 1}", "-9" * 2, "01.5"]
)
def test_a_bad_number_is_refused_wherever_it_stands(frame, number):
    text = frame.format(number)

    assert not reads(text)
    assert finds_fault(text)


def test_a_factfile_with_such_a_number_is_no_json_rather_than_of_the_wrong_type():
    text = factfile("x", task("a", ok=[7])).replace("[7]", "[99999999999999999999.5]")

    with pytest.raises(errors.FactfileSyntaxError, match="invalid JSON - invalid number at line 1"):
        Factfile.parse(text, {})


DIGITS = st.text("0123456789", max_size=24)
AROUND_A_BOUND = st.builds(
    lambda bound, step: str(bound + step),
    st.sampled_from([0, 2**63, MAX, 10**19, 10**20]),
    st.integers(-3, 3),
)
NUMBERS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["", "-", "+", "--"]),
    DIGITS | AROUND_A_BOUND,
    st.just("") | st.builds(".{}".format, DIGITS),
    st.just("")
    | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), DIGITS),
)


@given(NUMBERS, st.sampled_from(["{}", "[{}]", '{{"a":{}}}', "[0,{},1]", "{} "]))
@example("-.5", "{}")
@example("1.e5", "[{}]")
@example("-18446744073709551615", "{}")
@example("1_0", "{}")
def test_both_readers_agree_on_every_number(number, frame):
    text = frame.format(number)

    assert reads(text) is not finds_fault(text)


@given(NUMBERS)
def test_a_number_that_is_read_has_the_value_that_python_reads(number):
    if reads(number):
        assert jsontext.parse(number) == json.loads(number)
