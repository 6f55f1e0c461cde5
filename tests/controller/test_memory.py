"""What is remembered of a job between two looks; the clock is real and not waited for."""

import pytest

from factotum.controller.facts.observed import PodRefusal
from factotum.controller.reconcile.memory import JobMemory

PASSING = PodRefusal(permanent=False, reason="QuotaExceeded", message="full")
FINAL = PodRefusal(permanent=True, reason="PodRejected", message="bad")


def test_progress_may_be_told_at_once_and_then_only_after_a_while():
    memory = JobMemory()
    assert memory.progress_due

    memory.patched(0.001)

    assert not memory.progress_due
    memory._progress_due -= 1.0
    assert memory.progress_due


def test_dear_patches_come_more_rarely():
    memory = JobMemory()
    memory.patched(0.4)

    memory._progress_due -= 7.5
    assert not memory.progress_due
    memory._progress_due -= 0.5
    assert memory.progress_due


def test_a_refusal_that_passes_counts_for_a_growing_time():
    memory = JobMemory()
    spans = []
    for _ in range(8):
        memory.refused(PASSING)
        assert memory.current_refusal() == PASSING
        before, memory.refusal_until = memory.refusal_until, 0.0
        spans.append(before)
        assert memory.current_refusal() is None
    assert spans == sorted(spans)
    assert spans[-1] - spans[0] == pytest.approx(58, abs=1)


def test_a_refusal_for_good_always_counts():
    memory = JobMemory()
    memory.refused(FINAL)
    memory.refusal_until = 0.0

    assert memory.current_refusal() == FINAL


def test_the_time_that_a_pod_waits_is_counted_per_pod():
    memory = JobMemory()
    assert memory.pending_seconds("first") == 0

    memory.pending_since -= 10

    assert memory.pending_seconds("first") >= 10
    assert memory.pending_seconds("second") < 1


def test_a_pod_that_is_there_has_not_been_gone():
    memory = JobMemory()
    assert memory.gone_seconds() == 0

    memory.gone_since = memory._progress_due - 5

    assert memory.gone_seconds() > 0
