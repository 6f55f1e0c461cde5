"""Runs whose end the controller does not hear: the Pod's own last words decide, never a guess.

Real: the API server with our chart, the operator's process, a test node with the real runner.
"""

import time

import pytest

from support.builders.manifests import make_factfile, make_job
from support.cluster.kube_api import jobs_path, pods_path
from support.cluster.workbench import states

pytestmark = pytest.mark.cluster

CLAIM = "c" * 32
OBLIGING = "trap 'exit 0' TERM; sleep 60 & wait"


def wait_for_runs(bench, count):
    deadline = time.monotonic() + 30
    while bench.book.counts().total() < count:
        assert time.monotonic() < deadline, "the tasks do not begin"
        time.sleep(0.05)


def wait_for_pods_end(bench):
    def ended(listed):
        return all(p["status"].get("phase") in ("Succeeded", "Failed") for p in listed["items"])

    bench.api.wait_for(pods_path(bench.namespace), ended, "ended")


def test_run_that_ended_while_the_controller_was_away_is_told_by_its_pod(bench):
    tasks = [bench.book.task("job", "first", then="sleep 3")]
    tasks += [
        bench.book.task("job", f"t{n}", "first", then=f"exit {n % 3 and n}") for n in range(60)
    ]
    tasks += [bench.book.task("job", f"after{n}", f"t{n}") for n in range(60)]
    with bench.nodes():
        operator = bench.operator()
        with operator:
            bench.create(make_factfile(*tasks))
            wait_for_runs(bench, 1)
            operator.kill()
            wait_for_pods_end(bench)
            operator.start()
            status = bench.done()

    seen = states(status)
    assert status["outcome"] == "FAILED"
    assert {n for n in range(60) if seen[f"t{n}"] == "SUCCEEDED"} == set(range(0, 60, 3))
    assert all(seen[f"after{n}"] == ("SKIPPED" if n % 3 else "SUCCEEDED") for n in range(60))
    codes = {task["name"]: task.get("returnCode") for task in status["tasks"]}
    assert [codes[f"t{n}"] for n in range(60)] == [n if n % 3 else 0 for n in range(60)]
    assert bench.book.twice() == []


def test_deadline_ends_the_run_even_if_its_task_ends_well(bench):
    with bench.nodes(), bench.operator():
        bench.create(bench.book.chain("job", OBLIGING, "true"), activeDeadlineSeconds=2)
        status = bench.done()

    assert (status["outcome"], status["reason"]) == ("FAILED", "DeadlineExceeded")
    assert states(status)["t1"] == "FAILED"
    assert bench.book.twice() == []


def test_pods_that_are_failed_and_removed_in_one_go_are_not_waited_for(bench):
    """As Kubernetes does it with Pods whose Node is gone: no kubelet has a word of their end."""
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
    }
    with bench.operator() as operator:
        paths = []
        for number in range(8):
            uid = bench.create_by_hand(bench.book.chain(f"j{number}", "true"), name=f"j{number}")
            pod = bench.pod_side(operator, uid)
            assert pod.claim(CLAIM)[0] == 200
            paths.append(pods_path(bench.namespace, pod.name))
        for path in paths:
            status = {"phase": "Failed", "conditions": [disruption]}
            bench.api.patch(f"{path}/status", {"status": status})
            bench.api.delete(path, grace=0)
        ends = bench.api.wait_all_done(bench.namespace, seconds=30)

    assert {end["status"]["reason"] for end in ends.values()} == {"NodeLost"}


def test_runner_of_a_deleted_job_is_told_to_stop(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand())
        assert pod.claim(CLAIM)[0] == 200
        bench.api.delete(jobs_path(bench.namespace, "job"))
        time.sleep(0.5)

        assert pod.report(CLAIM, 2, "R")[0] in (401, 410)
        assert pod.report(CLAIM, 3, "S", final=True)[0] in (401, 410)


def test_job_in_a_namespace_that_was_made_this_moment_waits_for_its_service_account(bench):
    fresh = f"{bench.namespace}-new"
    with bench.nodes(), bench.operator(f"--namespace={fresh}"):
        bench.api.create("/api/v1/namespaces", {"metadata": {"name": fresh}})
        job = make_job(fresh, constraints={"host": "fake-1"})
        bench.api.create_job(job)
        status = bench.api.wait_done(fresh)
        bench.api.delete(f"/api/v1/namespaces/{fresh}")

    assert (status["outcome"], status["reason"]) == ("SUCCEEDED", "Succeeded")
