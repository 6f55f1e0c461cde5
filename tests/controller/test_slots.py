"""Worker slots: who gets one, and that none is lost or given twice. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.controller.facts.observed import Held, Waits
from factotum.controller.queue.admission import Waiting, admit
from factotum.controller.queue.slots import Slots

EARLY, LATE = Waiting("2026-03-01T10:00:00Z", "a"), Waiting("2026-03-01T11:00:00Z", "b")
LATE_TOO = Waiting("2026-03-01T11:00:00Z", "c")


@pytest.mark.parametrize(
    ("queue", "holders", "workers", "admitted"),
    [
        pytest.param([], set(), 2, [], id="nobody waits"),
        pytest.param([LATE, EARLY], set(), 1, ["a"], id="first come, first served"),
        pytest.param([LATE_TOO, LATE], set(), 1, ["b"], id="of one moment the smaller UID"),
        pytest.param([LATE, EARLY], set(), 5, ["a", "b"], id="room for all"),
        pytest.param([LATE, EARLY], {"x"}, 2, ["a"], id="room for one"),
        pytest.param([EARLY], {"x", "y"}, 2, [], id="no room"),
        pytest.param([EARLY], {"x", "y", "z"}, 2, [], id="more run than there is room for"),
        pytest.param([EARLY, LATE], {"a"}, 2, ["b"], id="a holder does not wait"),
    ],
)
def test_slots_are_given_out_in_order(queue, holders, workers, admitted):
    assert admit(queue, holders, workers) == admitted


def test_wanting_twice_gives_one_slot():
    slots = Slots(2)

    assert slots.join(EARLY) == ["a"]
    assert slots.join(EARLY) == []
    assert slots.join(LATE) == ["b"]


def test_a_released_slot_goes_to_the_oldest():
    slots = Slots(1)
    slots.join(Waiting("", "x"))
    slots.join(LATE)
    slots.join(EARLY)

    assert slots.release("x") == ["a"]
    assert slots.place("a") == Held()
    assert slots.place("b") == Waits()
    assert slots.place("x") is None


def test_who_leaves_the_queue_gets_nothing():
    slots = Slots(1)
    slots.join(Waiting("", "x"))
    slots.join(EARLY)

    assert slots.release("a") == []
    assert slots.release("x") == []


def test_what_is_seen_to_run_counts_even_without_room():
    slots = Slots(1)
    slots.join(EARLY)
    slots.hold("x")

    assert slots.release("a") == []
    assert slots.join(LATE) == []
    assert slots.release("x") == ["b"]


steps = st.lists(
    st.tuples(st.sampled_from(["join", "release", "hold"]), st.sampled_from("abcdef")), max_size=40
)


@given(steps, st.integers(1, 3))
def test_no_slot_is_given_twice_and_none_stays_empty_while_somebody_waits(steps, workers):
    slots = Slots(workers)
    for step, uid in steps:
        if step == "join":
            slots.join(Waiting("t", uid))
        elif step == "hold":
            slots.hold(uid)
        else:
            slots.release(uid)
        if step != "hold":
            assert len(slots._holders) >= min(workers, len(slots._holders) + len(slots._queue))
        assert not slots._holders & slots._queue.keys()
