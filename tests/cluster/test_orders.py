"""Suspend, cancel and run again, on a job that waits, runs, or is about to end.

Real: the API server with our chart and its schema, the operator's process, a test node with the
real runner, whose tasks write down each of their runs. Every status that the job ever has is
watched, with what kstatus says of it.
"""

import time

import pytest

from support.cluster.kstatus import kstatus
from support.cluster.kube_api import jobs_path, pods_path
from support.cluster.workbench import states

pytestmark = pytest.mark.cluster


def desire(bench, word, name="job"):
    return bench.api.patch(jobs_path(bench.namespace, name), {"spec": {"desiredState": word}})


def wait_reason(bench, reason, name="job", *, seconds=60.0):
    return bench.api.wait_for(
        jobs_path(bench.namespace, name),
        lambda job: (
            job.get("status", {}).get("reason") == reason
            and job["status"]["observedGeneration"] == job["metadata"]["generation"]
        ),
        f"{reason} and observed",
        seconds=seconds,
    )


def wait_running(bench, task, name="job"):
    """Wait until a task of a job has written itself down."""
    deadline = time.monotonic() + 30
    while not bench.book.counts()[(name, task)]:
        assert time.monotonic() < deadline, f"{name}/{task} does not run"
        time.sleep(0.05)


def conditions(job):
    return {c["type"] for c in job["status"]["conditions"] if c["status"] == "True"}


def gate(bench, name="gate"):
    """Give a command that waits until its file is there."""
    path = bench.folder / name
    return path, f"while ! test -e '{path}'; do sleep 0.1; done"


def pods_running(bench):
    items = bench.api.items(pods_path(bench.namespace))
    return [p for p in items if p["status"].get("phase") not in ("Succeeded", "Failed")]


def test_a_run_that_is_suspended_goes_on_where_it_stopped(bench):
    door, waits = gate(bench)
    with bench.nodes(), bench.operator("--max-workers=1"):
        bench.create(bench.book.chain("job", "true", waits, "true"))
        wait_running(bench, "t2")
        desire(bench, "Suspend")
        suspended = wait_reason(bench, "Suspended")
        still_running = pods_running(bench)
        # Its worker is free.
        bench.create(bench.book.chain("other", "true"), name="other")
        other = bench.done("other")
        door.touch()
        desire(bench, "Run")
        status = bench.done()

    assert still_running == []
    assert (suspended["status"]["state"], suspended["status"]["outcome"]) == ("QUEUED", "WAITING")
    assert conditions(suspended) == {"Suspended"}
    assert kstatus(suspended) == "Current"
    assert states(suspended["status"]) == {"t1": "SUCCEEDED", "t2": "FAILED", "t3": "SKIPPED"}
    assert "claim" not in suspended["status"]
    assert other["outcome"] == "SUCCEEDED"
    assert (status["outcome"], status["attempt"], status["progress"]) == ("SUCCEEDED", 2, "3/3")
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "Suspended")]
    runs = {task: bench.book.counts()[("job", task)] for task in ("t1", "t2", "t3")}
    assert runs == {"t1": 1, "t2": 2, "t3": 1}


@pytest.mark.longer
def test_cancel_ends_a_task_that_ignores_the_request_to_end(bench):
    with bench.nodes(), bench.operator():
        stubborn = "trap '' TERM; while :; do sleep 0.2; done"
        bench.create(bench.book.chain("job", "true", stubborn, "true"))
        wait_running(bench, "t2")
        desire(bench, "Cancel")
        cancelling = wait_reason(bench, "Cancelling")
        before = time.monotonic()
        status = bench.done(seconds=90)
        took = time.monotonic() - before
        ended = bench.api.job(bench.namespace, "job")
        left = pods_running(bench)

    assert (cancelling["status"]["state"], kstatus(cancelling)) == ("WORKING", "InProgress")
    assert (status["outcome"], status["reason"]) == ("FAILED", "Cancelled")
    assert kstatus(ended) == "Failed"
    assert conditions(ended) == {"Failed", "Stalled"}
    assert states(status) == {"t1": "SUCCEEDED", "t2": "FAILED", "t3": "SKIPPED"}
    assert left == []
    assert took < 50
    assert bench.book.twice() == []


def test_a_job_is_suspended_and_cancelled_before_it_runs(bench):
    with bench.operator():
        uid = bench.create(bench.book.chain("job", "true"))
        pod = bench.api.wait_pod(bench.namespace, uid)
        desire(bench, "Suspend")
        suspended = wait_reason(bench, "Suspended")
        bench.create(bench.book.chain("made", "true"), name="made", desiredState="Suspend")
        made = wait_reason(bench, "Suspended", "made")
        desire(bench, "Cancel", "made")
        cancelled = bench.done("made")
        with bench.nodes():
            desire(bench, "Run")
            status = bench.done()
            pods = bench.api.pods_of(bench.namespace, uid)

    assert suspended["status"]["launch"] == 2
    assert (kstatus(suspended), kstatus(made)) == ("Current", "Current")
    assert (cancelled["outcome"], cancelled["reason"]) == ("FAILED", "Cancelled")
    assert status["outcome"] == "SUCCEEDED"
    assert pod["metadata"]["name"] not in [p["metadata"]["name"] for p in pods]
    assert dict(bench.book.counts()) == {("job", "t1"): 1}


def test_an_order_that_is_taken_back_at_once_is_followed_by_another_attempt(bench):
    door, waits = gate(bench)
    with bench.nodes(), bench.operator():
        bench.create(bench.book.chain("job", "true", waits))
        wait_running(bench, "t2")
        desire(bench, "Suspend")
        wait_reason(bench, "Suspending")
        desire(bench, "Run")
        door.touch() if bench.status().get("attempt") == 2 else None
        bench.api.wait_for(
            jobs_path(bench.namespace, "job"),
            lambda job: job["status"]["attempt"] == 2,
            "at its second attempt",
        )
        door.touch()
        status = bench.done()

    assert (status["outcome"], status["attempt"]) == ("SUCCEEDED", 2)
    assert dict(bench.book.counts()) == {("job", "t1"): 1, ("job", "t2"): 2}


def test_a_cancellation_that_is_taken_back_later_is_followed_by_another_attempt(bench):
    door, waits = gate(bench)
    with bench.nodes(), bench.operator():
        bench.create(bench.book.chain("job", "true", waits))
        wait_running(bench, "t2")
        desire(bench, "Cancel")
        cancelled = bench.done()
        door.touch()
        desire(bench, "Run")
        bench.api.wait_state(bench.namespace, "job", "DONE", outcome="SUCCEEDED")
        status = bench.status()

    assert cancelled["reason"] == "Cancelled"
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "Cancelled")]
    assert dict(bench.book.counts()) == {("job", "t1"): 1, ("job", "t2"): 2}


def test_a_runner_that_ends_well_before_it_hears_of_the_order_has_succeeded(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand())
        assert pod.claim("a" * 32)[0] == 200
        desire(bench, "Suspend")
        wait_reason(bench, "Suspending")
        answers = [
            pod.report("a" * 32, 1, "R"),
            pod.report("a" * 32, 2, "S", final=True),
        ]
        status = bench.done()
        desire(bench, "Cancel")
        ended = wait_reason(bench, "Succeeded")

    assert answers == [(200, {"order": "stop"}), (200, {"order": None})]
    assert status["outcome"] == "SUCCEEDED"
    assert ended["status"]["state"] == "DONE"


@pytest.mark.longer
def test_a_runner_that_does_not_obey_loses_its_pod_and_is_waited_for(bench):
    with bench.operator() as operator:
        uid = bench.create_by_hand()
        pod = bench.pod_side(operator, uid)
        assert pod.claim("a" * 32)[0] == 200
        assert pod.report("a" * 32, 1, "R")[0] == 200
        path = pods_path(bench.namespace, pod.name)
        bench.api.patch(path, {"metadata": {"finalizers": ["example.com/slow"]}})
        desire(bench, "Cancel")
        told = wait_reason(bench, "Cancelling")
        time.sleep(25)
        early = bench.api.get(path)["metadata"].get("deletionTimestamp")
        bench.api.wait_for(path, lambda p: p["metadata"].get("deletionTimestamp"), "deleted")
        assert bench.status()["state"] == "WORKING"
        assert pod.report("a" * 32, 2, "F", final=True, interrupted=1)[0] == 200
        held = bench.status()
        bench.api.patch(path, {"metadata": {"finalizers": None}})
        bench.api.delete(path, grace=0)
        status = bench.done()

    assert early is None
    assert told["status"]["order"]["desiredState"] == "Cancel"
    assert (held["state"], states(held)) == ("WORKING", {"a": "FAILED"})
    assert (status["reason"], states(status)) == ("Cancelled", {"a": "FAILED"})


@pytest.mark.parametrize("word", ["Suspend", "Cancel"])
@pytest.mark.parametrize("moment", ["before", "told", "stopped"])
def test_an_operator_that_is_killed_on_the_way_obeys_when_it_is_back(bench, word, moment):
    _, waits = gate(bench)
    operator = bench.operator()
    with bench.nodes(), operator:
        bench.create(bench.book.chain("job", "true", waits))
        wait_running(bench, "t2")
        if moment == "before":
            operator.kill()
        desire(bench, word)
        if moment != "before":
            wait_reason(bench, {"Suspend": "Suspending", "Cancel": "Cancelling"}[word])
            if moment == "stopped":
                bench.api.wait_for(
                    jobs_path(bench.namespace, "job"),
                    lambda job: states(job["status"]).get("t2") == "FAILED",
                    "stopped",
                    seconds=20,
                    every=0.01,
                )
            operator.kill()
        time.sleep(1)
        operator.start()
        operator.wait_ready()
        found = wait_reason(bench, {"Suspend": "Suspended", "Cancel": "Cancelled"}[word])
        left = pods_running(bench)

    assert left == []
    assert states(found["status"]) == {"t1": "SUCCEEDED", "t2": "FAILED"}
    assert bench.book.twice() == []
