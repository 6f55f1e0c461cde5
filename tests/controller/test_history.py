"""Which finished jobs are more than are to be kept. Pure; jobs come and go as the cache tells."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.controller.observe.history import History
from support.builders.jobs import done_status, make_job, working_status


def job(number, *, outcome="SUCCEEDED", namespace="pipelines", completed=None, **metadata):
    moment = f"2026-03-01T12:00:{number if completed is None else completed:02}Z"
    status = done_status(outcome=outcome, completionTime=moment)
    return make_job(
        uid=f"u{number}", name=f"n{number}", namespace=namespace, status=status, **metadata
    )


class Told:
    """A history, and of whom it told."""

    def __init__(self, succeeded=None, failed=None):
        self.looks = []
        self.history = History(succeeded, failed, self.looks.append)

    def put(self, *jobs):
        for each in jobs:
            self.history.job_changed(each, is_gone=False)

    def drop(self, each):
        self.history.job_changed(each, is_gone=True)


def test_the_oldest_are_too_many_in_whatever_order_they_are_seen():
    told = Told(succeeded=2)
    told.put(job(3), job(1), job(4), job(2))

    assert set(told.looks) == {"u1", "u2"}
    assert [told.history.is_surplus(f"u{n}") for n in (1, 2, 3, 4)] == [True, True, False, False]


def test_each_namespace_and_outcome_has_its_own_number():
    told = Told(succeeded=1, failed=2)
    told.put(job(1), job(2, namespace="other"), job(3, outcome="FAILED"), job(4, outcome="FAILED"))

    assert told.looks == []
    told.put(job(5), job(6, outcome="FAILED"))
    assert told.looks == ["u1", "u3"]


def test_without_a_number_all_are_kept():
    told = Told(failed=0)
    told.put(*(job(number) for number in range(50)))

    assert told.looks == []
    assert not Told().history.is_wanted


def test_a_number_of_none_keeps_none():
    told = Told(succeeded=0)
    told.put(job(1))

    assert told.looks == ["u1"]


def test_a_job_that_goes_by_itself_makes_room():
    told = Told(succeeded=1)
    told.put(job(1))
    told.drop(job(1))
    told.put(job(2))

    assert told.looks == []


def test_a_job_that_is_being_deleted_does_not_count():
    told = Told(succeeded=1)
    told.put(job(1), job(1, deletionTimestamp="2026-03-01T12:00:00Z"), job(2))

    assert told.looks == []


def test_a_job_that_is_at_work_again_is_no_more_too_many():
    told = Told(succeeded=0)
    told.put(job(1))
    told.put(make_job(uid="u1", name="n1", status=working_status()))

    assert not told.history.is_surplus("u1")


def test_a_version_that_says_nothing_new_tells_nothing_new():
    told = Told(succeeded=1)
    told.put(job(1), job(1), job(1), job(2), job(2))

    assert told.looks == ["u1"]


CHANGES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["SUCCEEDED", "FAILED", "gone", "works"]))
)


@given(CHANGES, st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=200)
def test_whatever_happens_no_more_are_kept_than_asked_for_and_none_that_is_not_done(
    changes, succeeded, failed
):
    told = Told(succeeded, failed)
    known = {}
    for number, change in changes:
        if change == "gone":
            if number in known:
                told.drop(known.pop(number))
        elif change == "works":
            known[number] = make_job(uid=f"u{number}", name=f"n{number}", status=working_status())
            told.put(known[number])
        else:
            known[number] = job(number, outcome=change)
            told.put(known[number])
    for outcome, limit in (("SUCCEEDED", succeeded), ("FAILED", failed)):
        done = [j for j in known.values() if j.is_done and j.status["outcome"] == outcome]
        kept = [j for j in done if not told.history.is_surplus(j.uid)]
        assert len(kept) <= limit
    assert not any(told.history.is_surplus(j.uid) for j in known.values() if not j.is_done)


@pytest.mark.parametrize("at_rest", [100, 10_000])
def test_one_more_costs_the_same_beside_ten_thousand(at_rest):
    told = Told(succeeded=at_rest)
    for number in range(at_rest):
        told.put(make_done(number))
    began = time.perf_counter()
    for number in range(at_rest, at_rest + 200):
        told.put(make_done(number))
    took = time.perf_counter() - began

    assert len(told.looks) == 200
    assert told.looks[0] == "u0"
    assert took / 200 < 0.001


def make_done(number):
    moment = f"2026-03-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    status = {"state": "DONE", "outcome": "SUCCEEDED", "completionTime": moment}
    return make_job(uid=f"u{number}", name=f"n{number}", status=status)
