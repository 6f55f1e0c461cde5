"""What the original reads as JSON, and its words for what it does not. Pure."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core import jsontext
from factotum.core.factfile import jsonsyntax


def explain(text: str) -> str:
    with pytest.raises(jsontext.BadJsonError):
        jsontext.parse(text)
    return str(jsonsyntax.explain(text)).removeprefix("invalid JSON - ")


@pytest.mark.parametrize(
    ("text", "problem", "line", "column"),
    [
        ("fasdfasdf", "invalid syntax", 1, 3),
        ("", "EOF While parsing value", 1, 1),
        ("{", "EOF While parsing object", 1, 2),
        ('{"a":1', "EOF While parsing object", 1, 7),
        ('{"a"', "EOF While parsing object", 1, 5),
        ('{"a":', "EOF While parsing value", 1, 6),
        ('{"a":1,', "EOF While parsing object", 1, 8),
        ("[1", "EOF While parsing array", 1, 3),
        ("[1,", "EOF While parsing value", 1, 4),
        ('"abc', "EOF While parsing string", 1, 5),
        ('"abc\\', "EOF While parsing string", 1, 6),
        ('{"a":1,}', "trailing comma", 1, 8),
        ("[1,]", "invalid syntax", 1, 4),
        ('{"a" 1}', "expected `:`", 1, 6),
        ("{a:1}", "key must be a string", 1, 2),
        ('{"a":01}', "invalid number", 1, 7),
        ('{"a":1 "b":2}', "invalid syntax", 1, 8),
        ("{} x", "trailing characters", 1, 4),
        ("\n\n x", "invalid syntax", 3, 3),
        ('{\n  "a": x}', "invalid syntax", 2, 9),
        ('"a\x01b"', "unescaped control character in string", 1, 3),
        ('"\\q"', "invalid escape", 1, 3),
        ('"\\u12"', "invalid escape", 1, 6),
        ('"\\ud800"', "unexpected end of hex escape", 1, 9),
        ('"\\ud800\\u0041"', "lone leading surrogate in hex escape", 1, 13),
        ('"\\udc00"', "lone leading surrogate in hex escape", 1, 7),
        ("   ", "EOF While parsing value", 1, 4),
        ("\n", "EOF While parsing value", 2, 2),
        ("1.", "invalid number", 1, 3),
        ("1e", "invalid number", 1, 3),
        ("1e+", "invalid number", 1, 4),
        ("-", "invalid number", 1, 2),
        ("+1", "invalid syntax", 1, 1),
        (".5", "invalid syntax", 1, 1),
        ("tru", "invalid syntax", 1, 4),
        ("trux", "invalid syntax", 1, 4),
        ("\ufeff{}", "invalid syntax", 1, 1),
        ("NaN", "invalid syntax", 1, 1),
        ("-Infinity", "invalid number", 1, 2),
        ("18446744073709551616", "invalid number", 1, 20),
        ("-9223372036854775809", "invalid number", 1, 21),
        ('{"a":{"b":1,}}', "trailing characters", 1, 14),
        ('{"a":[{"b":1,}]}', "invalid syntax", 1, 15),
        ("[1,\r\n\r\nx]", "invalid syntax", 3, 2),
    ],
)
def test_broken_json_is_told_in_the_original_words(text, problem, line, column):
    assert explain(text) == f"{problem} at line {line}, column {column}"


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (' {"a": [1, -0, 2.5, true, null]} \r\n', {"a": [1, 0, 2.5, True, None]}),
        ('{"a":1,"a":2}', {"a": 2}),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('"\\ud83d\\ude00\\/\\u0000"', "\U0001f600/\0"),
    ],
)
def test_json_is_read(text, document):
    assert jsontext.parse(text) == document


def test_too_deep_a_document_is_an_error():
    assert explain("[" * 100_000 + "]" * 100_000).startswith("nested too deeply")


@given(st.text())
def test_quoted_text_is_read_back(text):
    assert jsontext.parse(jsontext.quote(text)) == text


def test_quotes_escape_what_the_original_escapes():
    assert jsontext.quote('\x00\x08\t\n\x0c\r"\\/\x1f\x7fä\u2028') == (
        '"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\\u001f\\u007fä\u2028"'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON, st.sampled_from([None, 0, 1]))
def test_any_document_is_read_as_by_the_standard_library(document, indent):
    text = json.dumps(document, indent=indent)

    assert jsontext.parse(text) == document


@given(JSON, st.data())
def test_a_damaged_document_is_read_or_explained_within_its_bounds(document, data):
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text)))
    text = (
        text[:cut]
        + data.draw(st.sampled_from(["", "}", ",", '"', "\\", "x", "-"]))
        + text[cut + 1 :]
    )

    try:
        jsontext.parse(text)
    except jsontext.BadJsonError:
        error = jsonsyntax.explain(text)
        assert error.problem != "nested too deeply"
        assert 1 <= error.column <= len(text) + 2
