"""How often a waiting job's status and Events tell for what it waits. Pure."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.controller.decide.unclaimed.telling import RETELL_SECONDS, wait
from factotum.controller.observe.memory import JobMemory
from support.builders.jobs import NOW, make_job, observed, patched

REASONS = ("ImagePullBackOff", "Unschedulable", "PodForbidden", "WaitingForWorker")


class Story:
    """A job that waits, and everything that was written of it."""

    def __init__(self):
        self.job = make_job()
        self.memory = JobMemory()
        self.now = 0.0
        self.writes = []
        self.events = []

    def wait(self, reason, message="", *, retell=RETELL_SECONDS):
        seen = observed(
            self.job,
            told_seconds=self.memory.told_seconds(self.now),
            told_reasons=self.memory.told_reasons,
        )
        decision = wait(seen, reason, message or reason, NOW, retell=retell)
        if decision.patch is not None:
            self.job = patched(self.job, decision.patch)
            self.memory.told(reason, self.now)
            self.writes.append((self.now, reason))
        if decision.notice is not None:
            self.events.append(decision.notice.reason)
        return decision


def test_each_reason_is_told_at_once_the_first_time():
    story = Story()
    for reason in REASONS:
        story.wait(reason)
        story.now += 1

    assert [reason for _, reason in story.writes] == list(REASONS)
    assert story.events == list(REASONS[:3])


def test_causes_that_come_in_turns_are_written_once_a_minute_and_make_no_more_events():
    story = Story()
    for second in range(600):
        story.now = float(second)
        story.wait(REASONS[second // 5 % 2])

    assert len(story.writes) <= 2 + 600 / 60
    assert story.events == list(REASONS[:2])


def test_words_that_change_under_one_reason_are_followed_within_a_minute():
    story = Story()
    story.wait("ImagePullBackOff", "no such image a")
    story.now = 30.0
    held = story.wait("ImagePullBackOff", "no such image b")
    story.now = 60.0
    story.wait("ImagePullBackOff", "no such image b")

    assert (held.patch, held.again_in) == (None, 5.0)
    assert story.job.message == "no such image b"


def test_a_changed_spec_is_observed_at_once():
    story = Story()
    story.wait("Unschedulable")
    story.job = replace(story.job, generation=2)
    story.now = 1.0
    story.wait("Unschedulable")

    assert story.job.is_observed


def test_what_somebody_mended_half_is_told_at_once_where_no_machine_writes_the_words():
    story = Story()
    story.wait("FactfileNotFound", "no ConfigMap", retell=0.0)
    story.now = 1.0
    story.wait("FactfileNotFound", "no key", retell=0.0)

    assert story.job.message == "no key"
    assert story.events == ["FactfileNotFound"]


def test_after_a_restart_what_the_status_says_makes_no_event_again():
    story = Story()
    story.wait("Unschedulable")
    story.memory = JobMemory()
    story.wait("Unschedulable", "other words")

    assert story.events == ["Unschedulable"]
    assert story.job.message == "other words"


@given(st.lists(st.tuples(st.sampled_from(REASONS), st.integers(0, 3), st.integers(1, 20))))
def test_however_causes_change_writes_stay_few_and_the_last_one_is_told_in_the_end(causes):
    story = Story()
    for reason, words, seconds in causes:
        story.wait(reason, f"{reason} {words}")
        story.now += seconds
    assert len(story.writes) <= len(REASONS) + 1 + story.now / RETELL_SECONDS
    assert len(story.events) == len(set(story.events))
    if not causes:
        return
    story.now += RETELL_SECONDS
    reason, words, _ = causes[-1]
    story.wait(reason, f"{reason} {words}")

    assert (story.job.reason, story.job.message) == (reason, f"{reason} {words}")


@pytest.mark.parametrize("reason", ["WaitingForWorker", "PodPending"])
def test_what_is_no_trouble_makes_no_event(reason):
    story = Story()
    story.wait(reason)

    assert story.writes
    assert story.events == []
