"""Reports: what a Pod may tell of its run, and what is refused as nonsense.

Pure. A Pod is not trusted, so the fuzz tries to get past ``from_json`` what
could later stop the controller: the status patch made of a report must be
one that the API server takes.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core.wire.reports import MAX_BYTES, STATE_WORDS, Report, ReportError

LETTERS = "".join(STATE_WORDS)
RAW = {
    "claim": "c" * 32,
    "sequence": 3,
    "final": False,
    "interrupted": 0,
    "states": "SFK",
    "codes": {"0": 0, "1": 5},
    "started": {"0": 1_772_366_400_000},
    "seconds": {"0": 1.5, "1": 2},
    "errors": {"1": "code 5"},
    "jobReference": "r" * 64,
    "runReference": "q" * 64,
}


def test_a_report_survives_the_wire():
    report = Report(
        claim_id="c" * 32,
        sequence=3,
        final=True,
        interrupted=1,
        states="SFK",
        codes={0: 0, 1: -1},
        started={0: 1_772_366_400_000},
        seconds={0: 1.5, 1: 2},
        errors={1: "could not be started: »nix«"},
        job_reference="r" * 64,
        run_reference="q" * 64,
    )

    assert Report.from_json(report.to_json()) == report


def test_a_report_is_small_even_of_many_tasks():
    whole = Report.from_json(
        json.dumps(
            RAW
            | {
                "states": "S" * 2000,
                "codes": {str(i): 0 for i in range(2000)},
                "started": {str(i): 1_772_366_400_000 + i for i in range(2000)},
                "seconds": {str(i): 12345.678 for i in range(2000)},
                "errors": {},
            }
        ).encode()
    )

    assert len(whole.to_json()) < 128 * 1024


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"claim": None}, "claim: expected str", id="no claim"),
        pytest.param({"sequence": "3"}, "sequence: expected int", id="a text as number"),
        pytest.param({"sequence": True}, "sequence: expected int", id="a truth value as number"),
        pytest.param({"sequence": 1.5}, "sequence: expected int", id="a fraction as count"),
        pytest.param({"final": 1}, "final: expected bool", id="a number as truth value"),
        pytest.param({"states": ["S"]}, "states: expected str", id="states in a list"),
        pytest.param({"states": "SXK"}, "states: holds letters", id="an unknown state"),
        pytest.param({"codes": []}, "codes: expected dict", id="codes in a list"),
        pytest.param({"codes": {"3": 0}}, "codes: '3' is no task", id="a task too many"),
        pytest.param({"codes": {"-1": 0}}, "codes: '-1' is no task", id="a negative task"),
        pytest.param({"codes": {"²": 0}}, "codes: '²' is no task", id="a digit that is none"),
        pytest.param({"codes": {"9" * 5000: 0}}, "is no task", id="a number beyond reading"),
        pytest.param({"codes": {"1": "5"}}, "the value of task 1", id="a code as text"),
        pytest.param({"codes": {"1": True}}, "the value of task 1", id="a code as truth value"),
        pytest.param({"codes": {"1": 2**31}}, "the value of task 1", id="a code beyond 32 bits"),
        pytest.param({"seconds": {"1": "1"}}, "the value of task 1", id="a duration as text"),
        pytest.param({"seconds": {"1": float("nan")}}, "the value of task 1", id="not a number"),
        pytest.param({"seconds": {"1": float("inf")}}, "the value of task 1", id="infinity"),
        pytest.param({"seconds": {"1": -1}}, "the value of task 1", id="a negative duration"),
        pytest.param({"started": {"1": -1}}, "the value of task 1", id="before the epoch"),
        pytest.param({"started": {"1": 10**18}}, "the value of task 1", id="beyond the calendar"),
        pytest.param({"errors": {"1": 5}}, "the value of task 1", id="an error as number"),
        pytest.param({"sequence": -1}, "sequence: ", id="a negative sequence"),
        pytest.param({"sequence": 2**63}, "sequence: ", id="a sequence beyond 64 bits"),
        pytest.param({"interrupted": -1}, "interrupted: ", id="a negative count"),
    ],
)
def test_nonsense_is_refused_with_its_field(change, words):
    with pytest.raises(ReportError) as caught:
        Report.from_json(json.dumps(RAW | change).encode())

    assert words in str(caught.value)


@pytest.mark.parametrize("field", RAW)
def test_no_field_may_be_missing(field):
    rest = {key: value for key, value in RAW.items() if key != field}

    with pytest.raises(ReportError, match=f"^{field}: "):
        Report.from_json(json.dumps(rest).encode())


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"3", b"{", b"\xff\xfe", b"[" * 100_000, b'{"sequence": ' + b"9" * 5000 + b"}"],
    ids=["nothing", "a list", "a number", "torn", "no text", "too deep", "too long a number"],
)
def test_what_is_no_report_is_refused(payload):
    with pytest.raises(ReportError):
        Report.from_json(payload)


def test_half_a_surrogate_in_a_text_is_replaced():
    payload = json.dumps(RAW | {"errors": {"1": "bad \ud800 text"}}).encode()

    report = Report.from_json(payload)

    assert report.errors[1] == "bad ? text"


@pytest.mark.parametrize(
    ("states", "fields", "succeeded"),
    [
        pytest.param("SSS", {}, True, id="every task succeeded"),
        pytest.param("SNK", {}, True, id="an early finish"),
        pytest.param("", {}, True, id="no tasks"),
        pytest.param("SSF", {}, False, id="a failure"),
        pytest.param("SSW", {}, False, id="a task that waits"),
        pytest.param("SSR", {}, False, id="a task that runs"),
        pytest.param("SSS", {"interrupted": 1}, False, id="an interrupted task"),
        pytest.param("SSS", {"final": False}, False, id="not the end"),
    ],
)
def test_success_takes_a_final_word_and_nothing_unfinished(states, fields, succeeded):
    report = Report.from_json(
        json.dumps(
            RAW
            | {"states": states, "final": True, "codes": {}, "started": {}, "seconds": {}}
            | {"errors": {}}
            | fields
        ).encode()
    )

    assert report.succeeded is succeeded


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
numbered = st.dictionaries(st.integers(0, 3).map(str), values, max_size=3)


@given(
    st.fixed_dictionaries(
        {}, optional={name: values | numbered | st.just(value) for name, value in RAW.items()}
    )
)
def test_anything_is_a_report_or_an_error_and_a_report_stays_one(raw):
    try:
        report = Report.from_json(json.dumps(raw).encode())
    except ReportError:
        return

    assert Report.from_json(report.to_json()) == report


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(payload):
    with pytest.raises(ReportError, match=r"."):
        Report.from_json(payload)


def test_a_report_on_ten_thousand_tasks_still_fits_and_keeps_every_state_and_failure():
    total = 10_000
    report = Report(
        claim_id="c" * 32,
        sequence=7,
        final=True,
        interrupted=0,
        states="S" * (total - 1) + "F",
        codes=dict.fromkeys(range(total - 1), 0) | {total - 1: 5},
        started=dict.fromkeys(range(total), 1_795_000_000_000),
        seconds=dict.fromkeys(range(total), 0.123),
        errors={total - 1: "é" * 500},
        job_reference="a" * 64,
        run_reference="b" * 64,
    )

    payload = report.to_json()
    decoded = Report.from_json(payload)

    assert len(payload) <= MAX_BYTES
    assert decoded.states == report.states
    assert decoded.codes[total - 1] == 5
