"""What is remembered of a job between two looks. Pure: moments are passed in."""

from factotum.controller.facts.observed import PodRefusal
from factotum.controller.observe.memory import JobMemory
from support.builders.jobs import OTHER_CLAIM_ID, POD_UID, make_pod, make_report

PASSING = PodRefusal(permanent=False, reason="PodForbidden", message="full")
FINAL = PodRefusal(permanent=True, reason="PodRejected", message="bad")


def test_progress_may_be_told_at_once_and_then_only_after_a_while():
    memory = JobMemory()
    assert memory.is_progress_due(0)

    memory.patched(0.001, 100)

    assert not memory.is_progress_due(100.9)
    assert memory.is_progress_due(101)


def test_dear_patches_come_more_rarely():
    memory = JobMemory()
    memory.patched(0.4, 100)

    assert not memory.is_progress_due(107.9)
    assert memory.is_progress_due(108)


def test_a_refusal_that_passes_counts_for_a_growing_time():
    memory = JobMemory()
    spans = []
    for _ in range(8):
        memory.refused(PASSING, 0)
        spans.append(next(s for s in range(100) if memory.refusal(s) is None))
    assert spans == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_refusal_for_good_always_counts():
    memory = JobMemory()
    memory.refused(FINAL, 0)

    assert memory.refusal(10**9) == FINAL


def test_a_pod_that_was_taken_ends_the_refusal():
    memory = JobMemory()
    memory.refused(PASSING, 0)
    memory.accepted()

    assert memory.refusal(0) is None


def test_after_a_pod_that_was_taken_a_refusal_counts_for_a_short_time_again():
    memory = JobMemory()
    for _ in range(8):
        memory.refused(PASSING, 0)
    memory.accepted()
    memory.refused(PASSING, 0)

    assert memory.refusal(1) == PASSING
    assert memory.refusal(2) is None


def test_the_time_that_a_pod_waits_is_counted_per_pod():
    memory = JobMemory()

    assert memory.pending_seconds("first", 100) == 0
    assert memory.pending_seconds("first", 110) == 10
    assert memory.pending_seconds("second", 111) == 0


def test_a_pod_that_is_there_has_not_been_gone():
    memory = JobMemory()
    assert memory.gone_seconds(50) == 0

    memory.gone_since = 45

    assert memory.gone_seconds(50) == 5
    memory.sighted(make_pod(), 50)
    assert memory.gone_seconds(60) == 0


def test_a_sighting_counts_for_some_seconds_and_for_that_pod():
    memory = JobMemory()
    memory.sighted(make_pod(), 100)

    assert memory.sighting(POD_UID, 103) == make_pod()
    assert memory.sighting("another", 103) is None
    assert memory.sighting(POD_UID, 104) is None


def test_an_older_report_does_not_hide_a_newer_one():
    memory = JobMemory()
    newer = make_report(sequence=5)
    memory.hear(newer)
    memory.hear(make_report(sequence=4))

    assert memory.report == newer


def test_another_runner_counts_its_reports_anew():
    memory = JobMemory()
    memory.hear(make_report(sequence=5))
    others = make_report(sequence=1, claim_id=OTHER_CLAIM_ID)
    memory.hear(others)

    assert memory.report == others
