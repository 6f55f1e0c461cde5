"""Small values: tags, variables, references, durations, the kept end of outputs. Pure tables."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core import errors
from factotum.core.factfile import environment, references, tags
from factotum.core.run import durations
from factotum.core.run.output import OutputTail
from support.builders.factfiles import CHAIN, ECHO

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("hello,world", ("hello", "world")),
        ("  hello   ,  world   ", ("hello", "world")),
        ("  hello   ", ("hello", "")),
        (" ", None),
        (" , asdas", None),
        ("the rain,first,, wow,,", ("the rain", "first wow")),
        ("b c, x,y", ("b c", "xy")),
        ("a,", ("a", "")),
        ("\u3000a\x0b,\n1\u2028", ("a", "1")),
        ("\x1fa\x1c,\x1d1\x1e", ("\x1fa\x1c", "\x1d1\x1e")),  # no white space to the original
        ("\u200ba,1", ("\u200ba", "1")),
    ],
)
def test_tags_split_at_every_comma(text, pair):
    assert tags.parse_pair(text) == pair


def test_the_last_tag_of_a_name_counts():
    assert tags.parse_pairs(["a,1", " ", "b,2", "a,3"]) == {"a": "3", "b": "2"}


@pytest.mark.parametrize(
    "text", ['{"a":1}', '{"a":{"b":"c"}}', "[]", '"x"', "null", "", "{", '{"a":null}']
)
def test_variables_must_be_an_object_of_strings(text):
    with pytest.raises(errors.EnvironmentFormatError) as caught:
        environment.parse_variables(text)

    assert str(caught.value) == f"Supplied string '{text}' is not valid JSON: decoder error"


def test_a_tag_wins_over_a_variable_of_its_name():
    variables = environment.build_variables('{"tag:env":"e","x":"1","x":"2"}', {"env": "t"})

    assert variables == {"tag:env": "t", "x": "2"}


@pytest.mark.parametrize(
    ("compact", "pairs", "reference"),
    [
        (CHAIN, {}, "126bc5fc6edffd0e71d385f49c09dda5ed4b37ad63d994917dd2213b5463e66d"),
        (
            CHAIN,
            {"env": "prod", "b c": "xy"},
            "781f7978fac4d6dbe27d2b6f771ec65db29bf6e31991038cdf0c11b6ae7e57b4",
        ),
        (ECHO, {}, "c8abd9c2bb317fdec983bea8707bf01ae72b46d8d2e39317f31a442d360c068a"),
        (ECHO, {"foo": "bar"}, "8215da2fe21f958845676480c9bfeebf1e70b71f5307df6920e5a71a256abada"),
        (
            "{Blabla}",
            {"z": "sdfsdfs", "hello": "world", "a": "b"},
            "234dd3e6dda962e0f6810e6e319c3087c48c9ff3d3aa8055162324858a421161",
        ),
    ],
)
def test_job_references_are_the_original_ones(compact, pairs, reference):
    assert references.job_reference(compact, pairs) == reference


@pytest.mark.parametrize(
    ("pairs", "job_id"),
    [
        ({}, "3168425b07ea38a671e1a9abf8858080a0259bf32db15b1c0d08ae9caee9f39f"),
        ({"foo": "bar"}, "6ef5cf55f2815a098695861ec5f8e9c7122dd2e5339cf954d7e2cb2e761dd583"),
    ],
)
def test_job_ids_are_those_of_the_server(pairs, job_id):
    assert references.job_id(json.loads(ECHO), pairs) == job_id


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (2.5, "2.5s"),
        (59.96, "60.0s"),
        (62.5, "1m, 2s"),
        (3599, "59m, 59s"),
        (3600, "1h, 0m, 0s"),
        (36063, "10h, 1m, 3s"),
        (90000, "25h, 0m, 0s"),
    ],
)
def test_durations_for_people(seconds, text):
    assert durations.to_console(int(seconds * SECOND)) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "PT0S"),
        (SECOND, "PT1S"),
        (2_500_000_000, "PT2.500S"),
        (237_944, "PT0.000237944S"),
        (1_500_000, "PT0.001500S"),
        (5400 * SECOND, "PT5400S"),
        (86_400 * SECOND, "P1D"),
        (90_000 * SECOND, "P1DT3600S"),
    ],
)
def test_durations_in_events(nanoseconds, text):
    assert durations.to_iso(nanoseconds) == text


@pytest.mark.parametrize(
    ("fraction", "console"),
    [(0, ""), (12_000_000, ".012"), (12_000, ".000012"), (699_364_229, ".699364229")],
)
def test_moments_show_as_many_digits_as_they_need(fraction, console):
    moment = 1_404_810_611 * SECOND + fraction

    assert durations.to_console_timestamp(moment) == f"2014-07-08 09:10:11{console} UTC"
    assert durations.to_timestamp(moment) == f"2014-07-08T09:10:11.{fraction // 10**6:03d}Z"


@given(st.integers(0, 253402300799))
def test_the_calendar_is_the_usual_one(seconds):
    usual = datetime.datetime.fromtimestamp(seconds, datetime.UTC)

    assert durations.to_log_timestamp(seconds * SECOND) == f"{usual:%Y-%m-%dT%H:%M:%S}Z".rjust(
        20, "0"
    )


@pytest.mark.parametrize(
    ("limit", "parts", "text"),
    [
        (8, [b"line1\n", b"line2\n"], "e1\nline2"),
        (10_000, [b"X" * 20_000 + b"tail\n"], "X" * 9_996 + "tail"),
        (0, [b"x\n"], ""),
        (0, [b"\n"], None),
        (5, [], None),
        (5, [b"\n"], None),
        (5, [b"\n", b"\n"], "\n"),
        (5, [b"a\n\n"], "a\n"),
        (1, ["e\u0301\n".encode()], "\u0301"),
        (3, ["äöü€\n".encode()], "öü€"),
        (2**64 - 1, [b"abc\n"], "abc"),
    ],
)
def test_the_end_of_an_output_counts_characters(limit, parts, text):
    tail = OutputTail(limit)
    for part in parts:
        tail.append(part)

    assert tail.text() == text


@given(st.integers(0, 30), st.lists(st.text(alphabet="aä€\U0001f600", max_size=20), max_size=30))
def test_the_kept_end_equals_the_end_of_everything(limit, lines):
    tail = OutputTail(limit)
    for line in lines:
        tail.append(f"{line}\n".encode())

    joined = "\n".join(lines)
    assert tail.text() == ((joined[-limit:] if limit else "") if joined else None)
