"""How far a job has got, what is shown of a run, and how seeds are named. Pure."""

import argparse
import sys
from collections import Counter

import pytest

from support.cluster.clusters import ROOT

sys.path.append(str(ROOT))
from chaos.__main__ import _seeds
from chaos.history import Fresh, History, Violation
from chaos.journal import Entry
from chaos.recording import parse
from chaos.reporting import Result
from chaos.scene import phases_of, verdict_of

from chaos import plan, reporting

CLAIMED = {"state": "WORKING", "outcome": "RUNNING", "reason": "Claimed", "attempt": 2}


@pytest.mark.parametrize(
    ("status", "has_pod", "phases"),
    [
        ({}, False, {"created"}),
        ({}, True, {"created", "seen"}),
        (CLAIMED, False, {"created", "seen", "claimed"}),
        ({"state": "QUEUED", "reason": "Suspended"}, False, {"created", "suspended"}),
        ({"state": "QUEUED", "reason": "WaitingForWorker"}, False, {"created"}),
        ({"state": "DONE", "outcome": "SUCCEEDED"}, True, {"created", "seen", "done"}),
        ({"state": "DONE", "outcome": "FAILED"}, False, {"created", "done", "failed"}),
    ],
)
def test_a_jobs_phases_follow_from_its_status(status, has_pod, phases):
    assert phases_of(status, has_pod=has_pod) == phases


def test_a_verdict_is_told_in_short():
    assert verdict_of(CLAIMED) == (2, "WORKING", "RUNNING", "Claimed")
    assert verdict_of({}) == (1, "", "", "")


def result(seed, *violations):
    history = History(
        plan=plan.draw(seed, 3),
        jobs=[{"status": {"outcome": "SUCCEEDED", "reason": "Succeeded"}}],
        pods=[],
        told={},
        lines=parse("S a-1-1-0123abcd t1 5 1.0 a.\nS a-2-1-0123abcd t1 6 2.0 a.\n"),
        journal=[Entry(0, "operator killed"), Entry(0, "deletion", ("a",), "Orphan")],
        fresh=Fresh(1, 1, 0),
        peak_mebibytes=70.4 + seed,
    )
    return Result(
        history=history, violations=violations, seconds=9.6, requests=Counter({"refuse": seed})
    )


def test_the_table_has_a_line_a_seed_and_one_for_all():
    drawn = reporting.table([result(1), result(2, Violation("slot lost", "workers", "x"))])
    heads, first, second, total = [line.split() for line in drawn.splitlines()[:4]]
    assert heads[:2] == ["seed", "jobs"]
    assert first == ["1", "3", "2", "2", "1", "1", "71", "10", "0"]
    assert second == ["2", "3", "2", "2", "1", "2", "72", "10", "1"]
    assert total == ["all", "6", "4", "4", "2", "3", "72", "20", "1"]
    assert "operator killed  2" in drawn
    assert "request: refuse  3" in drawn
    assert "deletion" not in drawn


def test_seeds_are_numbers_and_ranges():
    assert _seeds("7") == [7]
    assert _seeds("1,5-7") == [1, 5, 6, 7]
    with pytest.raises((ValueError, argparse.ArgumentTypeError)):
        _seeds("x")
