"""Which entry a key must hold, by table. Pure: nothing runs."""

from dataclasses import replace

import pytest

from factotum.controller.mirror.rules import Close, Held, Keep, Write, decide, wanted
from support.builders.mirrors import OTHER, US, view

WORKING = view("working", "WORKING", created=5, holds=True)
WORKING_LATER = view("working-later", "WORKING", created=6, holds=True)
CONFIRMING = view("confirming", "WORKING", created=4)
RESERVED = view("reserved", "QUEUED", created=9, holds=True)
QUEUED = view("queued", "QUEUED", created=2)
PARKED = replace(view("parked", "QUEUED", created=0), parked=True)
QUEUED_OLDER = view("queued-older", "QUEUED", created=1)
SUCCEEDED = view("succeeded", "DONE", "SUCCEEDED", created=3, completed=20)
FAILED_LATER = view("failed-later", "DONE", "FAILED", created=2, completed=30)
ENDING = view("ending", "DONE", "SUCCEEDED", created=3, completed=40, holds=True)
REJECTED = view("rejected", "DONE", "FAILED", created=8, completed=50, ran=False)
NAMELESS = view("nameless", "QUEUED", created=0, job_id="")


@pytest.mark.parametrize(
    ("views", "chosen"),
    [
        ([], None),
        ([NAMELESS], None),
        ([REJECTED], None),
        ([QUEUED], QUEUED),
        ([QUEUED, QUEUED_OLDER], QUEUED_OLDER),
        ([SUCCEEDED, FAILED_LATER], FAILED_LATER),
        ([PARKED, QUEUED], QUEUED),
        ([PARKED, SUCCEEDED], PARKED),
        ([SUCCEEDED, FAILED_LATER, REJECTED], FAILED_LATER),
        ([SUCCEEDED, QUEUED], QUEUED),
        ([SUCCEEDED, QUEUED_OLDER, WORKING], WORKING),
        ([QUEUED_OLDER, RESERVED], RESERVED),
        ([WORKING_LATER, WORKING], WORKING),
        ([QUEUED_OLDER, CONFIRMING], CONFIRMING),
        ([ENDING, QUEUED_OLDER], ENDING),
        ([ENDING, QUEUED_OLDER, WORKING], WORKING),
        ([ENDING, SUCCEEDED], ENDING),
    ],
    ids=lambda value: "+".join(v.name for v in value) or "none" if isinstance(value, list) else "",
)
def test_the_entry_speaks_of_the_holder_else_the_oldest_waiting_else_the_last_done(views, chosen):
    assert wanted(views) == chosen
    assert wanted(reversed(views)) == chosen


def stored(job, name=US):
    return job.entry(name).to_json()


def ruling(job, value, *, fresh=False, known=None):
    names = {job.label} if known is None and job else set(known or ())
    return decide(job, value, name=US, fresh=fresh, is_known=names.__contains__)


OURS = [b"", b"no entry", b'{"state":"DONE"}']


@pytest.mark.parametrize("value", OURS)
@pytest.mark.parametrize("job", [QUEUED, WORKING, SUCCEEDED])
def test_a_key_without_entry_gets_one(job, value):
    assert ruling(job, value) == Write(job.entry(US))


@pytest.mark.parametrize("job", [QUEUED, WORKING, SUCCEEDED])
def test_an_entry_that_is_right_is_left_alone(job):
    assert ruling(job, stored(job)) == Keep()


@pytest.mark.parametrize("before", [QUEUED, WORKING, SUCCEEDED, FAILED_LATER])
@pytest.mark.parametrize("job", [RESERVED, WORKING_LATER])
def test_our_entry_and_anybodys_finished_one_give_way_to_an_unfinished_job(job, before):
    assert ruling(job, stored(before)) == Write(job.entry(US))
    if before.done:
        assert ruling(job, stored(before, OTHER)) == Write(job.entry(US))


@pytest.mark.parametrize("theirs", [QUEUED, WORKING])
def test_an_unfinished_entry_of_another_is_never_overwritten(theirs):
    value = stored(theirs, OTHER)
    assert ruling(QUEUED, value) == Held(OTHER)
    assert ruling(WORKING, value) == Held(OTHER)
    assert ruling(SUCCEEDED, value, fresh=True) == Held(OTHER)
    assert ruling(SUCCEEDED, value) == Keep()
    assert ruling(None, value) == Keep()


def test_an_end_that_was_watched_replaces_every_earlier_result():
    for before in (stored(FAILED_LATER), stored(FAILED_LATER, OTHER)):
        assert ruling(SUCCEEDED, before, fresh=True) == Write(SUCCEEDED.entry(US))


def test_a_job_found_finished_does_not_replace_the_result_of_one_that_is_known_no_more():
    assert ruling(SUCCEEDED, stored(FAILED_LATER, OTHER)) == Keep()
    assert ruling(SUCCEEDED, stored(FAILED_LATER)) == Keep()


def test_a_job_found_finished_replaces_the_result_of_one_that_is_known_to_be_older():
    known = {SUCCEEDED.label, FAILED_LATER.label}
    assert ruling(SUCCEEDED, stored(FAILED_LATER), known=known) == Write(SUCCEEDED.entry(US))


def test_an_unfinished_entry_of_ours_without_job_is_to_be_closed():
    verdict = ruling(None, stored(WORKING))
    assert isinstance(verdict, Close)
    assert verdict.stored.closed() == view("working", "DONE", "FAILED").entry(US)


def test_a_finished_entry_stays_when_its_job_goes():
    assert ruling(None, stored(SUCCEEDED)) == Keep()
    assert ruling(None, b"no entry") == Keep()
    assert ruling(None, b"") == Keep()
