"""Finished jobs that go by themselves, and those that must not.

Real: the API server with our chart and its garbage collector, the operator's process, a test node
with the real runner.
"""

import time

import pytest

from support.cluster.kube_api import jobs_path, pods_path

pytestmark = pytest.mark.cluster

PAUSE = 0.1


def names_of(bench):
    return {job["metadata"]["name"] for job in bench.api.items(jobs_path(bench.namespace))}


def wait_names(bench, wanted, seconds=30.0):
    deadline = time.monotonic() + seconds
    while names_of(bench) != wanted:
        assert time.monotonic() < deadline, (names_of(bench), wanted)
        time.sleep(PAUSE)


def run(bench, name, command="true", **spec):
    bench.create(bench.book.chain(name, command), name=name, **spec)


def test_a_job_goes_when_its_time_is_over_and_its_pod_with_it(bench):
    with bench.nodes(), bench.operator() as operator:
        run(bench, "kept")
        run(bench, "short", ttlSecondsAfterFinished=3)
        run(bench, "at-once", ttlSecondsAfterFinished=0)
        end = bench.done("short")
        bench.done("kept")
        began = time.monotonic()
        wait_names(bench, {"kept"})
        took = time.monotonic() - began
        pods = pods_path(bench.namespace)
        bench.api.wait_for(pods, lambda listed: len(listed["items"]) == 1, "with one Pod")
        bench.api.patch(
            jobs_path(bench.namespace, "kept"), {"spec": {"ttlSecondsAfterFinished": 1}}
        )
        wait_names(bench, set())
        log = operator.log.read_text()

    assert end["outcome"] == "SUCCEEDED"
    assert took < 8
    assert log.count("its time is over") == 3
    assert bench.book.twice() == []


def test_a_time_that_passes_while_no_operator_runs_is_made_up_for(bench):
    operator = bench.operator()
    with bench.nodes(), operator:
        run(bench, "over", ttlSecondsAfterFinished=2)
        run(bench, "not-yet", ttlSecondsAfterFinished=3600)
        bench.done("not-yet")
        bench.api.wait_for(
            jobs_path(bench.namespace, "over"),
            lambda job: job["status"].get("state") == "DONE",
            "DONE",
        )
        operator.kill()
        time.sleep(2.5)
        assert names_of(bench) == {"over", "not-yet"}
        operator.start()
        operator.wait_ready()
        wait_names(bench, {"not-yet"})


def test_only_the_newest_of_a_namespace_are_kept_and_the_pods_of_fewer(bench):
    flags = (
        "--successful-jobs-history-limit=2",
        "--failed-jobs-history-limit=1",
        "--successful-pods-history-limit=1",
    )
    with bench.nodes(), bench.operator(*flags):
        for number in range(4):
            run(bench, f"good-{number}")
            bench.done(f"good-{number}")
            time.sleep(1)  # the time of completion has no parts of seconds
        for number in range(2):
            run(bench, f"bad-{number}", "false")
            bench.done(f"bad-{number}")
            time.sleep(1)
        wait_names(bench, {"good-2", "good-3", "bad-1"})
        owners = pods_path(bench.namespace)
        bench.api.wait_for(owners, lambda listed: owners_of(listed) == {"good-3", "bad-1"}, "fewer")


def test_a_job_whose_runner_is_at_work_is_never_deleted(bench):
    with bench.nodes(), bench.operator("--failed-jobs-history-limit=0"):
        run(bench, "long", "sleep 4", ttlSecondsAfterFinished=0)
        bench.api.wait_state(bench.namespace, "long", "WORKING")
        run(bench, "bad", "false")
        wait_names(bench, {"long"})
        time.sleep(1)
        assert bench.status("long")["state"] == "WORKING"
        wait_names(bench, set())

    assert bench.book.counts()["long", "t1"] == 1


def owners_of(listed):
    return {pod["metadata"]["ownerReferences"][0]["name"] for pod in listed["items"]}
