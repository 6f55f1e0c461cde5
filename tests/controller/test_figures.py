"""What the figures tell of jobs: by what the cache hears, whatever the order.

Real: the controller's parts, the figures and Prometheus' own parser. The API is in memory, the
clock is held.
"""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from factotum.controller.clock import HeldClock
from factotum.controller.facts.cache import Cache
from factotum.controller.metrics.courses import Courses
from factotum.controller.metrics.figures import Figures
from support.builders.jobs import (
    JOB_UID,
    NOW,
    POD_UID,
    done_status,
    raw_job,
    raw_pod,
    working_status,
)
from support.model.figures import keep, now, read
from support.model.stage import Stage

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "operator.md").read_text()


class Jobs:
    """A cache with figures, into which versions of jobs come."""

    def __init__(self, *, begun=True):
        self.stage = Stage()
        self.keeping = keep(self.stage)
        self.version = 100
        if begun:
            self.keeping.courses.begin()

    def sees(self, status=None, **metadata):
        self.version += 1
        raw = raw_job(status=status, resourceVersion=str(self.version), **metadata)
        return self.stage.cache.put_job(raw)

    def sees_pod(self, **fields):
        self.version += 1
        self.stage.cache.put_pod(raw_pod(resourceVersion=str(self.version), **fields))

    def told(self, name, *labels):
        return now(self.keeping)[(f"factotum_{name}", tuple(sorted(labels)))]

    def waits(self, seconds):
        self.stage.clock.move(seconds)


def queued(reason="WaitingForWorker", **fields):
    return {"state": "QUEUED", "outcome": "WAITING", "reason": reason} | fields


# --- the reference -----------------------------------------------------------------------------


def documented():
    rows = re.findall(r"^\| `(factotum_\w+)` \| (\w+) \| (.*?) \|", REFERENCE, re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def kept():
    """Return every figure of ours by what its registry says of it."""
    registry = keep(Stage()).figures.registry
    found = {}
    for collector in list(registry._collector_to_names):
        for family in collector.describe() if hasattr(collector, "describe") else ():
            if not family.name.startswith("factotum_"):
                continue
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = getattr(collector, "_labelnames", None)
            if labels is None:
                labels = {label for sample in family.samples for label in sample.labels}
            found[name] = family.type, frozenset(labels)
    return found


def test_the_reference_names_every_figure_with_its_kind_and_its_labels_and_no_other():
    assert documented() == kept()
    assert len(kept()) > 25


def test_names_are_as_prometheus_has_them():
    for name, (kind, _) in kept().items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name


def test_no_label_is_one_that_users_choose():
    words = {label for _, labels in kept().values() for label in labels}

    assert words <= {
        "state", "outcome", "reason", "kind", "verb", "resource", "code", "operation", "result",
        "version", "python",
    }  # fmt: skip


# --- how many jobs there are -------------------------------------------------------------------


def test_jobs_are_counted_by_state_and_outcome():
    jobs = Jobs()
    jobs.sees(None, uid="a", name="a")
    jobs.sees(working_status(), uid="b", name="b")
    jobs.sees(done_status(), uid="c", name="c")

    assert jobs.told("jobs", "NEW", "WAITING") == 1
    assert jobs.told("jobs", "WORKING", "RUNNING") == 1
    assert jobs.told("jobs", "DONE", "SUCCEEDED") == 1
    jobs.stage.cache.drop_job("c")
    assert jobs.told("jobs", "DONE", "SUCCEEDED") == 0


def test_a_job_that_waits_is_counted_by_its_reason():
    jobs = Jobs()
    jobs.sees(queued())
    assert jobs.told("jobs_waiting", "WaitingForWorker") == 1
    jobs.sees(queued("CreateContainerConfigError"))
    assert jobs.told("jobs_waiting", "WaitingForWorker") == 0
    assert jobs.told("jobs_waiting", "Other") == 1
    jobs.stage.cache.drop_job(JOB_UID)
    assert jobs.told("jobs_waiting", "Other") == 0


def test_words_that_somebody_wrote_into_a_status_make_no_series():
    jobs = Jobs()
    before = set(now(jobs.keeping))
    for number in range(50):
        name = f"job-{number}"
        odd = {"state": f"S{number}", "outcome": f"O{number}", "reason": f"R{number}"}
        jobs.sees(odd, uid=name, name=name)
        jobs.sees(queued(f"R{number}"), uid=name, name=name)
        jobs.sees(odd | {"state": "DONE"}, uid=name, name=name)
        jobs.sees(done_status(reason=f"R{number}"), uid=f"{name}-", name=name)

    assert set(now(jobs.keeping)) == before
    assert jobs.told("jobs", "OTHER", "OTHER") == 50


STATUSES = st.sampled_from(
    [None, queued(), queued("PodForbidden"), queued("Odd"), working_status(), done_status(),
     done_status(outcome="FAILED", reason="Lost"), {"state": "ODD"}]
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(STATUSES, st.just("gone"))), max_size=40))
def test_counts_are_those_of_the_jobs_that_there_are_whatever_happened(history):
    cache, figures = Cache(), Figures()
    courses = Courses(figures, cache, HeldClock(NOW))
    cache.subscribe(courses)
    for version, (number, status) in enumerate(history, 1):
        uid = f"uid-{number}"
        if status == "gone":
            cache.drop_job(uid)
        else:
            raw = raw_job(status=status, uid=uid, name=uid, resourceVersion=str(version))
            cache.put_job(raw)

    jobs, waiting = courses.collect()
    assert sum(sample.value for sample in jobs.samples) == len(cache.jobs)
    assert all(sample.value >= 0 for sample in (*jobs.samples, *waiting.samples))
    is_queued = [j for j in cache.jobs.values() if j.state == "QUEUED"]
    assert sum(sample.value for sample in waiting.samples) == len(is_queued)
    assert len(courses._courses) == sum(not job.is_done for job in cache.jobs.values())


# --- how long their steps take -----------------------------------------------------------------


def test_each_step_of_a_job_is_timed_once():
    jobs = Jobs()
    jobs.sees()
    jobs.waits(1)
    jobs.sees(queued())
    jobs.waits(5)
    jobs.sees_pod()
    jobs.sees_pod(status={"phase": "Pending"})
    jobs.waits(2)
    jobs.sees(working_status())
    jobs.waits(30)
    jobs.sees(working_status(sequence=3))
    jobs.waits(10)
    jobs.sees(done_status())
    jobs.sees(done_status(observedGeneration=2))

    assert jobs.told("job_pod_seconds_count") == jobs.told("job_claim_seconds_count") == 1
    assert jobs.told("job_pod_seconds_sum") == 6
    assert jobs.told("job_queue_seconds_sum") == 5
    assert jobs.told("job_claim_seconds_sum") == 2
    assert jobs.told("job_run_seconds_sum", "SUCCEEDED") == 40
    assert jobs.told("job_run_seconds_count", "SUCCEEDED") == 1
    assert jobs.told("jobs_finished_total", "SUCCEEDED", "Succeeded") == 1


def test_a_job_that_waited_for_nobody_counts_as_one_that_waited_no_time():
    jobs = Jobs()
    jobs.sees()
    jobs.sees_pod()

    assert jobs.told("job_queue_seconds_count") == 1
    assert jobs.told("job_queue_seconds_sum") == 0


def test_a_run_that_began_before_us_is_timed_by_its_status():
    jobs = Jobs(begun=False)
    jobs.sees(working_status(startTime="2026-03-01T12:00:00Z"))
    jobs.keeping.courses.begin()
    jobs.sees(done_status(completionTime="2026-03-01T12:10:00Z", outcome="FAILED", reason="Lost"))

    assert jobs.told("job_run_seconds_sum", "FAILED") == 600
    assert jobs.told("job_claim_seconds_count") == 0
    assert jobs.told("jobs_finished_total", "FAILED", "Lost") == 1


def test_jobs_that_were_there_before_us_do_not_count_as_new():
    jobs = Jobs(begun=False)
    jobs.sees()
    jobs.sees(done_status(), uid="done", name="done")
    jobs.waits(3600)
    jobs.keeping.courses.begin()
    jobs.sees_pod()

    assert jobs.told("job_pod_seconds_count") == 0
    assert jobs.told("jobs_finished_total", "SUCCEEDED", "Succeeded") == 0


def test_a_pod_that_is_not_the_jobs_own_is_no_launch():
    jobs = Jobs()
    jobs.sees()
    jobs.sees_pod(uid="foreign", ownerReferences=[])
    jobs.sees_pod(uid="elsewhere", namespace="other")

    assert jobs.told("job_pod_seconds_count") == 0


def test_the_next_attempt_is_timed_from_its_own_pod():
    jobs = Jobs()
    jobs.sees()
    jobs.sees_pod()
    jobs.waits(3)
    jobs.sees(working_status())
    jobs.sees(queued("Relaunching", attempt=1, launch=2))
    jobs.waits(100)
    jobs.sees_pod(uid="second", launch=2)
    jobs.waits(4)
    second = {"id": "d" * 32, "podUID": "second"}
    jobs.sees(working_status(launch=2, claim=second))
    jobs.waits(7)
    jobs.sees(done_status(launch=2, claim=second))

    assert jobs.told("job_claim_seconds_sum") == 3 + 4
    assert jobs.told("job_run_seconds_sum", "SUCCEEDED") == 7
    assert jobs.told("job_pod_seconds_count") == 1


# --- what rooms tell ---------------------------------------------------------------------------


async def test_a_look_is_counted_and_so_is_its_failure():
    figures = Figures()
    stage = Stage(recorder=figures)
    stage.api.on_request = lambda _: (_ for _ in ()).throw(ValueError("a fault of ours"))
    stage.job()
    workers = asyncio.create_task(stage.reconciler.run())
    async with asyncio.timeout(5):
        while not stage.reconciler.queue._timers:  # noqa: ASYNC110 - it says when, nobody else
            await asyncio.sleep(0)
    workers.cancel()

    told = read(generate_latest(figures.registry).decode())
    assert told["factotum_reconcile_errors_total", ("internal",)] == 1
    assert told["factotum_reconcile_errors_total", ("api",)] == 0
    assert told["factotum_reconcile_seconds_count", ()] == 1


def test_what_is_read_is_what_there_is():
    jobs = Jobs()
    jobs.stage.slots.hold("another")
    jobs.sees()
    jobs.stage.reconciler.queue.add("x")

    assert jobs.told("workers_busy") == 1
    assert jobs.told("workers_limit") == 1
    assert jobs.told("work_queue_depth") >= 1
    assert jobs.told("work_queue_oldest_seconds") > 0
    assert jobs.told("claims_connections") == 0
    assert jobs.told("claims_connections_limit") == 7
    assert jobs.told("mirror_reachable") == 1
    assert jobs.told("mirror_lag_seconds") == jobs.told("mirror_pending") == 0
    assert jobs.told("leader") == 0
    jobs.keeping.figures.leads(True)
    assert jobs.told("leader") == 1
    assert POD_UID not in str(now(jobs.keeping))


@pytest.mark.parametrize("outcome", ["created", "counted", "dropped", "failed"])
def test_events_are_counted_by_what_became_of_them(outcome):
    jobs = Jobs()
    jobs.keeping.figures.told(outcome)

    assert jobs.told("events_total", outcome) == 1
