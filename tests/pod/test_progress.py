"""How far the run is, as reports and termination messages tell it. Pure."""

from factotum.core.wire import termination
from factotum.core.wire.reports import Report
from factotum.pod.progress import Progress

DIGEST = "ab" * 32


def make_progress(count=3):
    names = [f"task-{index}" for index in range(count)]
    return Progress("c" * 32, DIGEST, names, ("job-ref", "run-ref"))


def test_a_run_that_has_not_begun_waits():
    progress = make_progress()

    assert progress.snapshot().states == "WWW"
    verdict = termination.decode(progress.termination_message().decode())
    assert (verdict.kind, verdict.states, verdict.claim_id) == ("progress", "WWW", "c" * 32)
    assert verdict.factfile_hash == DIGEST[:16]


def test_a_run_is_told_task_by_task():
    progress = make_progress()
    progress.started("task-0", 1_772_366_400_123_456_789)
    progress.ended("task-0", "SUCCEEDED", 0, 1_234_567_890, None)
    progress.started("task-1", 1_772_366_401_000_000_000)
    progress.ended("task-1", "FAILED", 5, 500_000_000, "code 5")
    progress.ended("task-2", "SKIPPED", None, None, "skipped")

    report = progress.snapshot()

    assert report.states == "SFK"
    assert report.codes == {0: 0, 1: 5}
    assert report.started == {0: 1_772_366_400_123, 1: 1_772_366_401_000}
    assert report.seconds == {0: 1.235, 1: 0.5}
    assert report.errors == {1: "code 5", 2: "skipped"}
    assert (report.job_reference, report.run_reference) == ("job-ref", "run-ref")


def test_the_controller_takes_every_snapshot():
    progress = make_progress()
    progress.started("task-1", 1_772_366_401_000_000_000)
    progress.ended("task-1", "FAILED", -1, 0, "not \udcff text")
    progress.sequence = 4

    report = Report.from_json(progress.snapshot().to_json())

    assert report.sequence == 4
    assert report.errors == {1: "not ? text"}


def test_a_snapshot_does_not_change_any_more():
    progress = make_progress()
    before = progress.snapshot()
    progress.ended("task-0", "FAILED", 5, 1, "code 5")

    assert (before.states, before.codes, before.errors) == ("WWW", {}, {})


def test_the_pods_own_verdict_tells_only_codes_that_are_not_0():
    progress = make_progress()
    progress.ended("task-0", "SUCCEEDED", 0, 1, None)
    progress.ended("task-1", "FAILED", 5, 1, "code 5")
    progress.final = True
    progress.interrupted = 1

    verdict = termination.decode(progress.termination_message().decode())

    assert verdict.kind == "final"
    assert verdict.codes == {1: 5}
    assert verdict.interrupted == 1


def test_error_texts_are_bounded_each_and_together():
    progress = make_progress(2000)
    for index in range(2000):
        progress.ended(f"task-{index}", "FAILED", 1, 1, "x" * 10_000)

    report = progress.snapshot()

    assert max(map(len, report.errors.values())) == 500
    assert len(report.to_json()) < 256 * 1024
    assert report.states == "F" * 2000


def test_a_run_that_cannot_begin_says_why_and_is_final():
    progress = make_progress()
    progress.refuse("the webhook's URL is invalid")

    report = progress.snapshot()

    assert report.final
    assert not report.succeeded
    assert report.sequence == 1
    assert report.errors == {0: "the webhook's URL is invalid"}
