"""When a Lease may be taken: one row a state of it. Pure; time is a number."""

import pytest

from factotum.controller.leader.lease import Lease, Me, held, released, unheld
from factotum.controller.leader.rules import (
    LOOK_SECONDS,
    RENEW_SECONDS,
    TAKE_AFTER_SECONDS,
    TERM_SECONDS,
    Sighting,
    has_nobody,
    wait_seconds,
)
from support.builders.jobs import NOW


def unheld_lease():
    return Lease.from_raw(unheld("operator", NOW, 12))


OTHER = Lease(holder="other_1", renewed="1", seconds=10)
ME = Me(identity="me", process="9", address="10.0.0.9:8080")
NAME = "operator"
OWN = {"me_1", "me_9"}
"""Our predecessor, and ourselves."""


@pytest.mark.parametrize(
    ("lease", "seen_for", "wait"),
    [
        pytest.param(OTHER, 0, 12, id="just renewed"),
        pytest.param(OTHER, 11.5, 0.5, id="not renewed for a while"),
        pytest.param(OTHER, 12, 0, id="not renewed in time"),
        pytest.param(OTHER, 3600, -3588, id="long dead"),
        pytest.param(Lease(), 0, 12, id="emptied by hand"),
        pytest.param(unheld_lease(), 0, 12, id="just made: one may have been deleted before"),
        pytest.param(unheld_lease(), 12, 0, id="held by nobody for as long as a term"),
        pytest.param(Lease(seconds=10), 0, 12, id="only the holder taken out by hand"),
        pytest.param(Lease(seconds=1), 0, 0, id="given up by its holder"),
        pytest.param(Lease(holder="other_1", seconds=1), 0, 12, id="short, but held"),
        pytest.param(Lease(holder="me_1", seconds=10), 0, 0, id="held by a process before us"),
        pytest.param(Lease(holder="me_9", seconds=10), 0, 0, id="ours: the answer was lost"),
        pytest.param(Lease(holder="me_7", seconds=10), 0, 12, id="of our name, but not before us"),
        pytest.param(Lease(holder="me-2_1", seconds=10), 0, 12, id="a name that begins like ours"),
        pytest.param(Lease(holder="me", seconds=10), 0, 12, id="a holder that is none of ours"),
        pytest.param(Lease(holder="other_1", seconds=25), 10, 15, id="of a version with longer"),
    ],
)
def test_a_lease_waits_to_be_taken(lease, seen_for, wait):
    assert wait_seconds(Sighting(lease, 100.0), 100.0 + seen_for, OWN) == wait


@pytest.mark.parametrize("renewed", ["", "1971-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.0Z"])
def test_what_a_holders_clock_says_changes_nothing(renewed):
    lease = Lease(holder="other_1", renewed=renewed, seconds=10)

    assert wait_seconds(Sighting(lease, 100.0), 104.0, OWN) == 8


def test_only_a_change_makes_a_sighting_new():
    first = Sighting(OTHER, 100.0)
    renewed = Lease(holder="other_1", renewed="2", seconds=10)

    assert first.seen_again(OTHER, 107.0) == Sighting(OTHER, 100.0)
    assert first.seen_again(renewed, 107.0) == Sighting(renewed, 107.0)
    anew = Lease(uid="u2", holder="other_1", renewed="1", seconds=10)
    assert first.seen_again(anew, 107.0) == Sighting(anew, 107.0)


def test_a_lease_that_somebody_made_endless_ends_all_the_same():
    raw = {"metadata": {}, "spec": {"holderIdentity": "x_1", "leaseDurationSeconds": 2**31 - 1}}

    assert wait_seconds(Sighting(Lease.from_raw(raw), 0.0), 0.0, OWN) == 60


def test_a_leader_stops_writing_before_anybody_else_may_begin():
    assert TERM_SECONDS < TAKE_AFTER_SECONDS
    # A renewal may fail, and the next one too.
    assert TERM_SECONDS >= 3 * RENEW_SECONDS
    # Seen late by one look, then waited for: what is left of 15 s is for the start.
    assert TAKE_AFTER_SECONDS + LOOK_SECONDS <= 13


@pytest.mark.parametrize(
    ("lease", "seen_for", "nobody"),
    [
        pytest.param(OTHER, 9.9, False, id="its leader may still write"),
        pytest.param(OTHER, 10, True, id="its leader has stopped, but it may not be taken yet"),
        pytest.param(unheld_lease(), 9.9, False, id="made anew: a leader may not know"),
        pytest.param(Lease(seconds=1), 0, True, id="given up"),
        pytest.param(Lease(holder="me_1", seconds=10), 0, True, id="of a process before us"),
        pytest.param(Lease(holder="o_1", seconds=30), 27, False, id="of one with longer terms"),
    ],
)
def test_nobody_writes_any_more_some_time_before_a_lease_may_be_taken(lease, seen_for, nobody):
    assert has_nobody(Sighting(lease, 100.0), 100.0 + seen_for, OWN) is nobody


def test_a_lease_is_read_as_it_was_written():
    raw = held({}, NAME, ME, NOW, 10)

    assert raw["metadata"]["name"] == NAME
    assert Lease.from_raw(raw) == Lease(
        holder="me_9",
        renewed=raw["spec"]["renewTime"],
        seconds=10,
        transitions=1,
        address="10.0.0.9:8080",
    )
    assert Lease.from_raw(released(raw, NAME, NOW)).is_released


def test_a_renewal_changes_the_time_and_nothing_else():
    first = held({}, NAME, ME, NOW, 10)
    first["metadata"] |= {"resourceVersion": "7", "labels": {"of": "somebody"}}
    again = held(first, NAME, ME, NOW.replace(microsecond=7), 10)

    assert again["metadata"] == first["metadata"]
    assert again["spec"] == first["spec"] | {"renewTime": again["spec"]["renewTime"]}
    assert again["spec"]["renewTime"] != first["spec"]["renewTime"]


def test_another_holder_counts_as_a_transition():
    mine = held({}, NAME, ME, NOW, 10)
    other = Me(identity="other", process="1", address="10.0.0.1:8080")
    theirs = held(mine, NAME, other, NOW, 10)

    assert theirs["spec"]["leaseTransitions"] == 2
    assert theirs["spec"]["holderIdentity"] == "other_1"
    assert held(theirs, NAME, other, NOW, 10)["spec"]["leaseTransitions"] == 2
