"""What became of a run whose final report never arrived. Pure."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.controller.decide.outcomes import known_report, lost, verdict_of
from factotum.controller.facts.pods import Terminated
from factotum.core.wire import reports, termination
from support.builders.jobs import (
    CLAIM_ID,
    DIGEST,
    TASKS,
    ended_pod,
    make_job,
    make_message,
    make_pod,
    make_report,
    observed,
    working_status,
)

WORKING = make_job(status=working_status())


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        pytest.param(
            make_pod(phase="Failed", reason="Evicted", message="out of disk"),
            "Evicted",
            "out of disk",
            id="evicted",
        ),
        pytest.param(
            make_pod(phase="Failed", reason="DeadlineExceeded", message="too long"),
            "DeadlineExceeded",
            "too long",
            id="past its deadline",
        ),
        pytest.param(
            make_pod(phase="Failed", reason="Preempting"),
            "Preempting",
            "Preempting",
            id="displaced",
        ),
        pytest.param(
            ended_pod(exit_code=137, reason="OOMKilled"), "OOMKilled", "memory", id="out of memory"
        ),
        pytest.param(ended_pod(exit_code=3), "Lost", "exit code 3", id="crashed"),
        pytest.param(
            ended_pod(exit_code=0), "Lost", "exit code 0", id="ended well, without a word"
        ),
        pytest.param(
            make_pod(phase="Failed", reason="UnexpectedAdmissionError"),
            "Lost",
            "UnexpectedAdmissionError",
            id="for another reason",
        ),
        pytest.param(
            make_pod(
                phase="Failed",
                reason="Evicted",
                message="out of memory on the node",
                terminated=Terminated(exit_code=137, reason="OOMKilled", message=""),
            ),
            "Evicted",
            "on the node",
            id="the Pod's own reason comes before its container's",
        ),
    ],
)
def test_a_lost_run_is_told_by_what_the_pod_says(pod, reason, words):
    told = lost(pod)

    assert told[0] == reason
    assert words in told[1]


def verdict(states, **fields):
    message = termination.decode(make_message(states, **fields))
    assert message is not None
    return message


def test_a_whole_message_needs_nobody_else():
    report = verdict_of(verdict("SFK", codes={1: 5}), observed(WORKING), TASKS)

    assert report.states == "SFK"
    assert report.final
    assert report.claim_id == CLAIM_ID
    assert (report.codes[0], report.codes[1]) == (0, 5)
    assert 2 not in report.codes


def test_times_and_texts_are_the_last_that_were_known():
    known = make_report(
        "SRW",
        started={0: 1000, 1: 2000},
        seconds={0: 1.0},
        errors={1: "failed", 2: "skipped", 0: "no longer true"},
    )

    report = verdict_of(verdict("SFK"), observed(WORKING, report=known), TASKS)

    assert report.started == {0: 1000, 1: 2000}
    assert report.seconds == {0: 1.0}
    assert report.errors == {1: "failed", 2: "skipped"}
    assert report.run_reference == known.run_reference


def test_a_code_the_message_had_no_room_for_is_the_last_that_was_known():
    known = make_report("SFK", codes={0: 3, 1: 5})

    report = verdict_of(verdict("SFK"), observed(WORKING, report=known), TASKS)

    assert report.codes == {0: 3, 1: 5}


def test_a_report_on_other_tasks_is_not_what_is_known():
    assert known_report(observed(WORKING, report=make_report("SS")), TASKS).states == "WWW"


def test_nothing_is_known_if_the_status_has_only_part():
    job = make_job(status=working_status(tasks=[{"name": "load", "state": "FAILED"}]))

    assert known_report(observed(job), TASKS) is None


letters = st.text("".join(reports.STATE_WORDS), min_size=1, max_size=60)


@given(letters, st.data())
def test_letters_that_did_not_fit_are_filled_in_by_the_exact_counts(states, data):
    kept = data.draw(st.integers(0, len(states)))
    known = data.draw(st.none() | st.text("".join(reports.STATE_WORDS), min_size=len(states)))
    message = termination.Verdict(
        claim_id=CLAIM_ID,
        factfile_hash=DIGEST[:16],
        sequence=5,
        kind="final",
        interrupted=0,
        counts=Counter(states),
        states=states[:kept],
        codes={},
    )
    report = None if known is None else make_report(known[: len(states)])
    names = [str(index) for index in range(len(states))]
    job = make_job(status=working_status(tasks=[]))

    filled = verdict_of(message, observed(job, report=report), names)

    assert Counter(filled.states) == Counter(states)
    assert filled.states.startswith(states[:kept])
    assert filled.succeeded == message.succeeded


@given(letters, st.data())
def test_letters_that_did_not_fit_are_the_known_ones_if_those_are_final(states, data):
    kept = data.draw(st.integers(0, len(states)))
    message = termination.decode(make_message(states)).replace(states=states[:kept])
    final = "".join(letter if letter in "SNFK" else "R" for letter in states)
    names = [str(index) for index in range(len(states))]
    job = make_job(status=working_status(tasks=[]))

    filled = verdict_of(message, observed(job, report=make_report(final)), names)

    assert all(a == b for a, b in zip(filled.states, states, strict=True) if b in "SNFK")
