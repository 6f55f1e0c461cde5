"""Every reason that a job can give, brought about: what the status, kubectl, kstatus, Events say.

Real: API server, controllers and scheduler, the operator's process, kubectl; what plays a part
beside them is told by the modules of the cases.
"""

import difflib

import pytest

from cluster.reasons.page import committed, table_of
from cluster.reasons.stage import CASES, expected_row
from cluster.reasons.witness import came_again
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState
from support.cluster.clusters import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.longer]

PAGE = ROOT / "docs" / "reference" / "reasons.md"
ENDS_WELL = ({"Complete", "DONE"}, ["Complete"], "Current")
ENDS_BADLY = ({"Failed", "DONE"}, ["Failed", "Stalled"], "Failed")
GOES_ON = (set(), ["Reconciling"], "InProgress")
RESTS = ({"Suspended"}, ["Suspended"], "Current")
GOES_AWAY = (*ENDS_BADLY[:2], "Terminating")


def promised(reason):
    """Return what `kubectl wait` takes for met, the conditions, and kstatus's word."""
    state, outcome, _ = expected_row(reason)
    if reason in (Reason.SUSPENDED, Reason.DELETED):
        return RESTS if reason == Reason.SUSPENDED else GOES_AWAY
    if state == JobState.DONE:
        return ENDS_WELL if outcome == "SUCCEEDED" else ENDS_BADLY
    return GOES_ON


@pytest.mark.parametrize("reason", sorted(CASES))
def test_a_reason_is_told_as_it_is_promised(outcomes, reason):
    seen = outcomes[reason].get()
    state, outcome, notice = expected_row(reason)
    met, conditions, word = promised(reason)
    status = seen.status

    assert (status["state"], status["outcome"], status["reason"]) == (state, outcome, reason)
    assert status["observedGeneration"] == seen.job["metadata"]["generation"]
    assert status["message"]
    assert [c["type"] for c in status["conditions"]] == conditions
    assert {c["status"] for c in status["conditions"]} == {"True"}
    assert (seen.met, seen.kstatus) == (met, word)
    told = [(event["type"], event["count"]) for event in seen.told]
    assert told == ([(notice, 1)] if notice else [])
    assert not notice or seen.told[0]["message"] == status["message"][:1024]


@pytest.mark.parametrize("reason", sorted(CASES))
def test_no_job_comes_back_to_what_it_said_before(outcomes, reason):
    outcome = outcomes[reason]
    outcome.get()

    assert came_again(outcome.way) == []


@pytest.mark.parametrize("reason", sorted(CASES.keys() - {Reason.DELETED}))
def test_a_change_of_the_spec_is_observed_whatever_the_reason(outcomes, reason):
    seen = outcomes[reason].get()

    assert seen.observed_after < 10, f"{seen.observed_after:.1f} s"


def test_whatever_a_job_waits_for_it_can_be_cancelled(outcomes):
    waited = {reason for reason, outcome in outcomes.items() if outcome.waited}

    ends = {reason: outcomes[reason].end["reason"] for reason in waited}
    assert ends == dict.fromkeys(waited, Reason.CANCELLED)
    assert len(waited) >= 15


def test_a_job_that_goes_well_has_one_event(outcomes):
    for reason in (Reason.SUCCEEDED, Reason.EARLY_FINISH, Reason.DRY_RUN):
        assert len(outcomes[reason].get().events) == 1


def test_the_table_of_the_reference_is_what_is_seen(outcomes):
    made = table_of(outcome.get() for outcome in outcomes.values())
    print(f"\n{made}")

    there = committed(PAGE.read_text())
    changes = difflib.unified_diff(there.splitlines(), made.splitlines(), lineterm="", n=0)
    assert there == made, (
        "docs/reference/reasons.md needs what build/reasons.md has:\n" + "\n".join(changes)
    )
