"""The verdict in a container's termination message: what fits, what is torn.

Pure. Whole messages come from ``encode``; the fuzz feeds ``decode`` what a
kubelet might hand over: nothing, the end of a log, half a message.
"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core.wire import reports, termination

CLAIM = "0123456789abcdef" * 2
DIGEST = "fedcba9876543210" * 4
LETTERS = "".join(reports.STATE_WORDS)


def encode(states, codes=None, **fields):
    content = {
        "claim_id": CLAIM,
        "factfile_hash": DIGEST,
        "sequence": 17,
        "final": True,
        "interrupted": 0,
    }
    return termination.encode(**(content | fields), states=states, codes=codes or {})


def test_a_small_message_is_readable_by_people():
    message = encode("SSFK", {2: 5}).decode()

    head, states, codes = message.split("\n")
    assert head.startswith("factotum/1 ")
    assert head.endswith(f" {CLAIM} fedcba9876543210 17 F 0 S=2 F=1 K=1")
    assert states == "SSFK"
    assert codes == "2:5"


def test_a_message_says_everything_again():
    verdict = termination.decode(encode("SNRFKW", {1: 3, 3: -1}, interrupted=2).decode())

    assert verdict == termination.Verdict(
        claim_id=CLAIM,
        factfile_hash=DIGEST[:16],
        sequence=17,
        kind="final",
        interrupted=2,
        counts={"S": 1, "N": 1, "R": 1, "F": 1, "K": 1, "W": 1},
        states="SNRFKW",
        codes={1: 3, 3: -1},
    )
    assert verdict.factfile_hash == DIGEST[:16]


def test_progress_is_no_verdict():
    assert termination.decode(encode("SSS", final=False).decode()).kind == "progress"


def test_a_runner_without_a_run_says_so():
    verdict = termination.decode(termination.unstarted(CLAIM).decode())

    assert (verdict.kind, verdict.claim_id, verdict.states) == ("unstarted", CLAIM, "")
    assert not verdict.succeeded


def test_the_outcome_stands_before_what_does_not_fit():
    states = "S" * 1999 + "F"

    verdict = termination.decode(encode(states, {1999: 7}).decode())

    assert verdict.counts == {"S": 1999, "F": 1}
    assert not verdict.succeeded
    assert len(verdict.states) < 2000
    assert verdict.codes == {}


def test_codes_stay_while_they_fit_and_are_never_cut():
    codes = {index: 100 + index for index in range(500)}

    verdict = termination.decode(encode("F" * 500, codes).decode())

    kept = len(verdict.codes)
    assert 0 < kept < 500
    assert verdict.codes == dict(list(codes.items())[:kept])


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
    assert termination.decode(encode(states, **fields).decode()).succeeded is succeeded


tasks = st.text(LETTERS, max_size=2500)
codes_of_tasks = st.dictionaries(st.integers(0, 2499), st.integers(-(2**31), 2**31 - 1))
messages = st.builds(
    encode,
    tasks,
    codes_of_tasks,
    claim_id=st.text("0123456789abcdef", min_size=16, max_size=128),
    sequence=st.integers(0, 2**53),
    final=st.booleans(),
    interrupted=st.integers(0, 2000),
)


@given(tasks, codes_of_tasks, st.integers(0, 2000), st.booleans())
def test_every_message_fits_and_is_true(states, codes, interrupted, final):
    message = encode(states, codes, interrupted=interrupted, final=final)

    verdict = termination.decode(message.decode())

    assert len(message) <= termination.MAX_BYTES
    assert verdict.counts == Counter(states)
    assert states.startswith(verdict.states)
    assert verdict.codes.items() <= codes.items()
    whole = final and not interrupted and not set(states) & set(reports.UNFINISHED)
    assert verdict.succeeded is whole


@given(messages, st.integers(0, termination.MAX_BYTES))
def test_a_torn_message_is_none(message, length):
    if length < len(message):
        assert termination.decode(message[:length].decode()) is None


@given(messages, messages, st.integers(0, termination.MAX_BYTES))
def test_a_message_half_written_over_an_older_one_is_none(old, new, length):
    mixed = new[:length] + old[length:]
    if mixed not in (old, new):
        assert termination.decode(mixed.decode()) is None


@given(messages, st.integers(0, termination.MAX_BYTES - 1), st.integers(32, 126))
def test_a_changed_byte_makes_a_message_none(message, at, byte):
    changed = bytearray(message)
    changed[at % len(message)] = byte
    if changed != message:
        assert termination.decode(changed.decode()) is None


@given(st.text(st.characters(), max_size=300))
def test_any_text_is_read_without_a_complaint(text):
    assert termination.decode(text) is None


@given(st.text(st.characters(), max_size=300))
def test_any_text_with_a_right_checksum_is_read_without_a_complaint(body):
    message = termination._encode(body, "", "") if body.isascii() else b""

    verdict = termination.decode(message.decode())

    assert verdict is None or verdict.claim_id in body


def test_half_a_surrogate_is_read_without_a_complaint():
    assert termination.decode("factotum/1 00000000 \ud800") is None
