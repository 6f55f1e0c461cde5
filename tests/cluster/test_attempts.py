"""Attempts after the first: by ``retry``, by the annotation, and with the operator killed between.

Real: the API server with our chart and its schema, the operator's process, a test node with the
real runner, whose tasks write down each of their runs; the user's webhook.
"""

import json
import time

import pytest

from support.builders.manifests import make_factfile
from support.cluster.kstatus import kstatus
from support.cluster.kube_api import jobs_path
from support.cluster.workbench import states
from support.http.receivers import Receiver

pytestmark = pytest.mark.cluster

RESUME = "factotum.snowplowanalytics.com/resume"


def annotate(bench, value, name="job"):
    body = {"metadata": {"annotations": {RESUME: value}}}
    return bench.api.patch(jobs_path(bench.namespace, name), body)


def fails_times(bench, number, job="job"):
    """Give a command that fails so many times and then succeeds."""
    path = bench.folder / f"tries-{job}"
    return f"echo x >> '{path}'; test $(wc -l < '{path}') -gt {number}"


def counted(bench, job="job"):
    return {task: count for (name, task), count in bench.book.counts().items() if name == job}


def events(bench, number):
    """Give the reasons of the jobs' Events, once there are so many: nobody waits for them."""
    deadline = time.monotonic() + 10
    while True:
        items = bench.api.items(f"/api/v1/namespaces/{bench.namespace}/events")
        told = [e["reason"] for e in items if e["involvedObject"]["kind"] == "FactotumJob"]
        if len(told) >= number or time.monotonic() > deadline:
            return told
        time.sleep(0.1)


def follow(bench, name="job"):
    """Give every turn of a job's status that polling sees, until it is done."""
    turns = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        job = bench.api.job(bench.namespace, name)
        status = job.get("status") or {}
        turn = (status.get("state"), status.get("reason"), status.get("attempt"), kstatus(job))
        if not turns or turns[-1] != turn:
            turns.append(turn)
        if status.get("state") == "DONE":
            return turns
        time.sleep(0.02)
    raise AssertionError(f"not done: {turns}")


@pytest.mark.parametrize(
    ("mode", "runs"),
    [
        ("Resume", {"t1": 1, "t2": 3, "t3": 1}),
        pytest.param("Restart", {"t1": 3, "t2": 3, "t3": 1}, marks=pytest.mark.longer),
    ],
)
def test_a_failed_job_is_tried_again_by_itself(bench, mode, runs):
    with bench.nodes(), bench.operator():
        retry = {"limit": 3, "backoffSeconds": 1, "mode": mode}
        bench.create(bench.book.chain("job", "true", fails_times(bench, 2), "true"), retry=retry)
        turns = follow(bench)
        status = bench.status()
        told = events(bench, 3)

    assert (status["outcome"], status["attempt"], status["retries"]) == ("SUCCEEDED", 3, 2)
    assert counted(bench) == runs
    assert [a["reason"] for a in status["attempts"]] == ["TaskFailed", "TaskFailed"]
    assert len({a["podName"] for a in status["attempts"]}) == 2
    assert [turn for turn in turns if turn[1] == "Retrying"] == [
        ("QUEUED", "Retrying", 2, "InProgress"),
        ("QUEUED", "Retrying", 3, "InProgress"),
    ]
    assert turns[-1] == ("DONE", "Succeeded", 3, "Current")
    assert sorted(told) == ["Retrying", "Succeeded"]  # the second is a count in the first


def test_a_limit_that_is_reached_is_the_end_and_the_annotation_goes_on_from_there(bench):
    with bench.nodes(), bench.operator():
        retry = {"limit": 1, "backoffSeconds": 0}
        bench.create(bench.book.chain("job", "true", fails_times(bench, 2)), retry=retry)
        failed = bench.done()
        annotate(bench, "again")
        bench.api.wait_state(bench.namespace, "job", "DONE", outcome="SUCCEEDED")
        status = bench.status()
        annotate(bench, "and again")
        time.sleep(1)
        after = bench.status()

    assert (failed["outcome"], failed["reason"], failed["attempt"]) == ("FAILED", "TaskFailed", 2)
    assert (status["attempt"], status["resumeSeen"]) == (3, "again")
    assert "retries" not in status
    assert after == status
    assert counted(bench) == {"t1": 1, "t2": 3}


def test_a_value_that_is_set_while_the_job_runs_or_twice_asks_once_at_most(bench):
    with bench.nodes(), bench.operator():
        door = bench.folder / "door"
        waits = f"while ! test -e '{door}'; do sleep 0.1; done; false"
        bench.create(bench.book.chain("job", "true", waits))
        bench.api.wait_state(bench.namespace, "job", "WORKING")
        annotate(bench, "1")
        door.touch()
        first = bench.done()
        time.sleep(1)
        unchanged = bench.status()
        annotate(bench, "2")
        annotate(bench, "2")
        bench.api.wait_state(bench.namespace, "job", "DONE", resumeSeen="2")
        time.sleep(1)
        last = bench.status()

    assert (first["attempt"], first["resumeSeen"]) == (1, "1")
    assert unchanged == first
    assert (last["attempt"], last["outcome"]) == (2, "FAILED")
    assert counted(bench) == {"t1": 1, "t2": 2}


def test_a_killed_runner_is_tried_again_from_what_it_had_done(bench):
    with bench.nodes(), bench.operator():
        path = bench.folder / "killed"
        # The runner is the task's parent; the second time there is nobody to kill.
        kills = f"if ! test -e '{path}'; then touch '{path}'; sleep 1.5; kill -9 $PPID; sleep 5; fi"
        bench.create(
            bench.book.chain("job", "true", kills, "true"), retry={"limit": 1, "backoffSeconds": 1}
        )
        status = bench.done()

    assert status["outcome"] == "SUCCEEDED"
    assert [a["reason"] for a in status["attempts"]] == ["Lost"]
    assert counted(bench) == {"t1": 1, "t2": 2, "t3": 1}


@pytest.mark.parametrize(
    "moment", ["failed", *(pytest.param(m, marks=pytest.mark.longer) for m in ("waits", "begins"))]
)
def test_an_operator_that_is_killed_between_two_attempts_makes_one_and_no_more(bench, moment):
    operator = bench.operator()
    with bench.nodes(), operator:
        retry = {"limit": 1, "backoffSeconds": 0 if moment == "begins" else 3}
        command = f"sleep 1; {fails_times(bench, 1)}"
        bench.create(bench.book.chain("job", "true", command), retry=retry)
        if moment == "failed":
            bench.api.wait_state(bench.namespace, "job", "WORKING", progress="1/2")
            operator.kill()
            time.sleep(3)
        elif moment == "waits":
            bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="Retrying")
            operator.kill()
        else:
            bench.api.wait_for(
                jobs_path(bench.namespace, "job"),
                lambda job: job.get("status", {}).get("attempt") == 2,
                "at its second attempt",
                every=0.005,
            )
            operator.kill()
        operator.start()
        operator.wait_ready()
        status = bench.done()

    assert (status["outcome"], status["attempt"]) == ("SUCCEEDED", 2)
    assert counted(bench) == {"t1": 1, "t2": 2}


def test_an_annotation_that_is_set_while_the_operator_is_away_is_heard(bench):
    operator = bench.operator()
    with bench.nodes(), operator:
        bench.create(bench.book.chain("job", "true", fails_times(bench, 1)))
        bench.done()
        operator.kill()
        annotate(bench, "now")
        operator.start()
        operator.wait_ready()
        bench.api.wait_state(bench.namespace, "job", "DONE", outcome="SUCCEEDED")

    assert counted(bench) == {"t1": 1, "t2": 2}


def test_the_events_of_a_resumed_run_are_those_of_a_whole_run(bench):
    with Receiver() as receiver, bench.nodes(), bench.operator():
        bench.create(
            bench.book.chain("job", "true", fails_times(bench, 1)),
            retry={"limit": 1, "backoffSeconds": 0},
            webhook={"url": receiver.url},
        )
        bench.done()
        time.sleep(1)
        bodies = [json.loads(request.body)["data"] for request in receiver.requests]

    runs = list(dict.fromkeys(body["runReference"] for body in bodies))
    assert len(runs) == 2
    assert len({body["jobReference"] for body in bodies}) == 1
    second = [body for body in bodies if body["runReference"] == runs[1]]
    begun, ended = second[0], second[-1]
    assert begun["jobTransition"] == {"previousState": None, "currentState": "WAITING"}
    kept, waiting = begun["taskStates"]
    assert (kept["state"], kept["returnCode"], waiting["state"]) == ("SUCCEEDED", 0, "WAITING")
    assert "started" in kept
    assert (ended["runState"], [t["state"] for t in ended["taskStates"]]) == (
        "SUCCEEDED",
        ["SUCCEEDED", "SUCCEEDED"],
    )
    moves = [t["taskName"] for body in second for t in body.get("taskTransitions", ())]
    assert moves == ["t2", "t2"]
    assert states(bench.status()) == {"t1": "SUCCEEDED", "t2": "SUCCEEDED"}


@pytest.mark.longer
def test_a_job_whose_tasks_do_not_fit_its_status_repeats_none_that_succeeded(bench):
    names = [f"{number:04}-{'x' * 80}" for number in range(1200)]
    quick = [bench.book.task("job", name) for name in names]
    last = bench.book.task("job", "last", *names, then=fails_times(bench, 1))
    factfile = make_factfile(data={"name": "job", "tasks": [*quick, last]})
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    bench.api.create(
        path, {"metadata": {"name": "big"}, "data": {"job.factfile": json.dumps(factfile)}}
    )
    reference = {"configMapKeyRef": {"name": "big", "key": "job.factfile"}}
    with bench.nodes(), bench.operator():
        bench.create(factfileFrom=reference, retry={"limit": 1, "backoffSeconds": 5})
        waits = bench.api.wait_for(
            jobs_path(bench.namespace, "job"),
            lambda job: job.get("status", {}).get("reason") == "Retrying",
            "waiting for its second attempt",
            seconds=120,
        )
        status = bench.done(seconds=120)

    assert len(waits["status"]["tasks"]) < len(names)
    assert waits["status"]["taskStates"] == "S" * 1200 + "W"
    assert waits["status"]["progress"] == "1200/1201"
    assert (status["outcome"], status["progress"]) == ("SUCCEEDED", "1201/1201")
    runs = counted(bench)
    assert {runs[name] for name in names} == {1}
    assert runs["last"] == 2
