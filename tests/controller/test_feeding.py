"""From the cache into the mirror: which jobs an entry may speak of, and under which key.

Real: the cache, the mirror and its feeding. The store and the API are in memory.
"""

import sys

import pytest

from factotum.kube import names, paths
from factotum.persistence.entries import JobKey
from support.builders.jobs import raw_job, raw_pod
from support.builders.mirrors import settings
from support.model.mirrored import ID, KEY, OTHER_ID, Bench


@pytest.fixture
async def bench():
    bench = Bench()
    bench.mirror.start()
    yield bench
    await bench.mirror.stop()


async def test_a_job_is_mirrored_from_its_first_word_to_its_last(bench):
    seen = []
    for state, reason in (("QUEUED", "PodPending"), ("WORKING", "Claimed"), ("DONE", "Succeeded")):
        bench.job("a", state, reason, completed=1 if state == "DONE" else 0)
        await bench.settled()
        seen.append(bench.entry())

    assert seen == [
        ("a", "QUEUED", "WAITING"),
        ("a", "WORKING", "RUNNING"),
        ("a", "DONE", "SUCCEEDED"),
    ]


async def test_the_entry_of_a_job_that_was_found_gone_is_closed(bench):
    bench.job("a", "WORKING")
    await bench.settled()

    bench.cache.drop_job("uid-a")
    await bench.settled()

    assert bench.entry() == ("a", "DONE", "FAILED")
    assert list(bench.mirror.keys()) == []


async def test_the_entry_of_a_gone_job_stays_open_while_a_live_read_finds_it(bench):
    job = bench.job("a", "WORKING")
    await bench.settled()
    raw = raw_job(name="a", uid="uid-a", status=job.status)
    bench.api.put(paths.job("pipelines", "a"), raw)

    bench.cache.drop_job("uid-a")
    await bench.settled()

    assert bench.entry() == ("a", "WORKING", "RUNNING")


async def test_a_job_that_waits_gets_the_entry_once_the_last_ones_pod_has_ended(bench):
    bench.job("a", "WORKING")
    bench.pod("a")
    bench.job("b", "QUEUED", "NodeNotReady")
    bench.job("a", "DONE", completed=1)
    await bench.settled()
    assert bench.entry() == ("a", "DONE", "SUCCEEDED")

    bench.pod("a", "Succeeded")
    await bench.settled()

    assert bench.entry() == ("b", "QUEUED", "WAITING")


async def test_a_slot_that_is_freed_a_moment_later_does_not_hold_a_done_jobs_entry(bench):
    bench.slots.hold("uid-a")
    bench.job("a", "DONE", completed=1)

    assert [view.holds for view in bench.mirror.views(KEY)] == [False]
    bench.slots.hold("uid-b")
    bench.job("b", "QUEUED", "PodPending")
    assert [v.holds for v in bench.mirror.views(KEY) if v.name == "b"] == [True]


async def test_one_that_never_ran_does_not_stand_before_one_that_did(bench):
    bench.job("ran", "DONE", completed=1)
    bench.job("simulated", "DONE", "DryRun", completed=2)
    bench.job("refused", "DONE", "InvalidFactfile", completed=3)

    assert bench.spoken_of() == {"ran"}
    # As after a start with a store that lost its data.
    await bench.mirror._mirror._level()
    await bench.settled()
    assert bench.entry() == ("ran", "DONE", "SUCCEEDED")


async def test_the_newest_that_is_done_is_found_after_any_were_deleted(bench):
    for number in range(1, 41):
        bench.job(f"n{number}", "DONE", completed=number)
    assert bench.spoken_of() == {"n40"}

    for number in (40, 39, 20, 38):
        bench.cache.drop_job(f"uid-n{number}")
    assert bench.spoken_of() == {"n37"}
    bench.job("late", "DONE", completed=30)
    assert bench.spoken_of() == {"n37"}
    for number in range(1, 38):
        bench.cache.drop_job(f"uid-n{number}")
    assert bench.spoken_of() == {"late"}
    bench.cache.drop_job("uid-late")
    assert bench.spoken_of() == set()
    assert list(bench.mirror.keys()) == []


async def test_a_job_that_begins_another_attempt_is_no_longer_the_newest_that_is_done(bench):
    bench.job("a", "DONE", completed=1)
    bench.job("b", "DONE", completed=2)
    bench.job("b", "QUEUED", "PodPending", attempt=2)

    assert bench.spoken_of() == {"a", "b"}


async def test_a_job_of_a_name_that_was_used_before_is_called_so(bench):
    bench.job("a", "DONE", completed=1)
    again = raw_job(name="a", uid="again", resourceVersion="900", status={"jobId": ID})
    bench.cache.put_job(again)
    bench.cache.drop_job("uid-a")

    assert bench.mirror.calls(KEY, "pipelines/a")
    assert not bench.mirror.calls(KEY, "elsewhere/a")
    bench.cache.drop_job("again")
    assert not bench.mirror.calls(KEY, "pipelines/a")


async def test_jobs_of_one_name_may_go_in_any_order(bench):
    bench.job("a", "DONE", "DryRun", completed=1)
    again = raw_job(name="a", uid="again", resourceVersion="900", status={"jobId": ID})
    bench.cache.put_job(again)
    bench.cache.drop_job("again")
    bench.pod("a")
    bench.cache.drop_job("uid-a")

    assert list(bench.mirror.keys()) == []


# --- what it costs ------------------------------------------------------------------------------


def lines_run(work):
    """Count the lines of ours that are run."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if "/factotum/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_an_event_costs_the_same_beside_ten_thousand_jobs_that_are_done():
    costs = []
    for number in (10, 10_000):
        bench = Bench()
        for index in range(number):
            bench.job(f"n{index}", "DONE", completed=1 + index % 30_000)

        def event(bench=bench):
            bench.job("new", "WORKING")
            list(bench.mirror.views(KEY))
            bench.mirror.calls(KEY, "pipelines/n3")
            bench.job("new", "DONE", completed=40_000)
            list(bench.mirror.views(KEY))
            bench.cache.drop_job("uid-new")
            list(bench.mirror.views(KEY))

        costs.append(lines_run(event))

    assert costs[0] > 100
    assert costs[1] <= costs[0] * 1.1


# --- what may become a key ------------------------------------------------------------------------

FORGED = ["../../other", "a/b", "", "e" * 63, "E" * 64, "e" * 63 + "/", "e" * 65, " " + "e" * 63]


@pytest.mark.parametrize("forged", FORGED)
async def test_a_job_id_that_is_none_becomes_no_key(bench, forged):
    bench.job("a", "WORKING", job_id=forged)
    bench.cache.put_job(
        raw_job(name="b", uid="uid-b", resourceVersion="99", status={"state": "QUEUED"})
    )
    bench.pod("b", **{names.ANNOTATION_JOB_ID: forged})
    await bench.mirror.take(bench.cache.jobs["uid-a"], forged)
    await bench.settled()
    bench.cache.drop_job("uid-a")
    await bench.settled()

    assert list(bench.mirror.keys()) == []
    assert bench.store.asked == []


async def test_a_job_whose_id_was_changed_leaves_its_old_key(bench):
    bench.job("a", "WORKING")
    await bench.settled()

    bench.job("a", "WORKING", job_id=OTHER_ID)
    await bench.settled()

    assert bench.spoken_of() == set()
    assert list(bench.mirror.keys()) == [JobKey("pipelines", OTHER_ID)]
    assert bench.entry(settings().key_path(JobKey("pipelines", OTHER_ID)))[0] == "a"
    bench.cache.drop_job("uid-a")
    assert list(bench.mirror.keys()) == []


async def test_a_job_is_known_by_its_pod_before_its_status_says_its_id(bench):
    bench.cache.put_job(raw_job(name="a", uid="uid-a", status={"state": "QUEUED"}))
    bench.pod("a")

    assert list(bench.mirror.keys()) == [KEY]
    assert bench.spoken_of() == {"a"}


async def test_anothers_pod_tells_no_jobs_id(bench):
    bench.cache.put_job(raw_job(name="a", uid="uid-a", status={"state": "QUEUED"}))
    raw = raw_pod(labels={names.LABEL_JOB_UID: "uid-a"}, namespace="other")
    bench.cache.put_pod(raw)

    assert list(bench.mirror.keys()) == []


@pytest.mark.parametrize(
    "label", ["other/a", "../other/a", "pipelines/../a", "pipelines/A b", "/a"]
)
async def test_an_entry_that_names_a_job_elsewhere_is_not_read_there(bench, label):
    bench.api.put(paths.job("other", "a"), raw_job(namespace="other", name="a"))

    assert await bench.mirror.named(KEY, label) is None
    assert {asked.path for asked in bench.api.requests} == {
        paths.collection(paths.JOBS, "pipelines")
    }


async def test_an_entry_is_read_live_by_the_name_that_a_servers_caller_gave(bench):
    for name, submitted, job_id in (("a", "team/etl", ID), ("b", "team/etl", OTHER_ID)):
        raw = raw_job(name=name, uid=f"uid-{name}", status={"state": "WORKING", "jobId": job_id})
        raw["metadata"] |= {
            "labels": {
                names.LABEL_SUBMITTED_JOB_ID: ID[:63]
            },  # of which others write what they like
            "annotations": {names.ANNOTATION_SUBMITTED_NAME: submitted},
        }
        bench.api.put(paths.job("pipelines", name), raw)
    bench.cache.put_job(bench.api.stored(paths.job("pipelines", "a")))

    assert (await bench.mirror.named(KEY, "team/etl")).uid == "uid-a"
    assert await bench.mirror.named(KEY, "team/other") is None
    assert bench.mirror.calls(KEY, "team/etl")
    assert bench.mirror.calls(KEY, "pipelines/a")
    assert not bench.mirror.calls(KEY, "team/other")
    (view,) = bench.mirror.views(KEY)
    assert view.entry("us").request.job_name == "team/etl"


async def test_an_entry_is_read_live_under_its_bare_name_and_its_full_one(bench):
    raw = raw_job(name="a", uid="uid-a", status={"state": "WORKING", "jobId": ID})
    bench.api.put(paths.job("pipelines", "a"), raw)

    found = [await bench.mirror.named(KEY, label) for label in ("a", "pipelines/a", "b")]

    assert [view and view.uid for view in found] == ["uid-a", "uid-a", None]


async def test_a_pod_of_another_namespace_or_id_keeps_no_entry_open(bench):
    bench.job("a", "DONE", completed=1)
    bench.pod("a", **{names.ANNOTATION_JOB_ID: OTHER_ID})
    assert not await bench.mirror.pod_lives(KEY)
    assert await bench.mirror.pod_lives(JobKey("pipelines", OTHER_ID))
    assert not await bench.mirror.pod_lives(JobKey("elsewhere", OTHER_ID))
