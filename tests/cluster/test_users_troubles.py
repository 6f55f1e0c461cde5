"""What users do to objects while a job runs: it gets its end, its worker, and no hot loop.

Real: the API server with our chart, its garbage collector, the operator's process, a test node
with the real runner. The requests are counted in the API server's audit log.
"""

import json
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.audit import Audit
from support.cluster.kube_api import jobs_path, pods_path

pytestmark = pytest.mark.cluster

GROUP = "factotum.snowplowanalytics.com"
OFF = {
    "label": {"labels": {f"{GROUP}/job-uid": None}},
    "owner": {"ownerReferences": None},
    "label-and-owner": {"labels": {f"{GROUP}/job-uid": None}, "ownerReferences": None},
    "annotations": {"annotations": None},
    "another-owner": {
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "no-such-uid"}
        ]
    },
}
RUN_SECONDS = 8
MOST_A_SECOND = 0.75
"""Requests about one running job: one look in two seconds, and its report now and then."""


def start_working(bench, name, command):
    uid = bench.create(bench.book.chain(name, command), name=name)
    bench.api.wait_state(bench.namespace, name, "WORKING")
    (pod,) = bench.api.pods_of(bench.namespace, uid)
    return pods_path(bench.namespace, pod["metadata"]["name"])


def next_job_runs(bench, name="next"):
    bench.create(bench.book.chain(name, "true"), name=name)
    assert bench.done(name, seconds=30)["outcome"] == "SUCCEEDED"


def asked_about(audit, name):
    """Give what was asked about one job and its Pods."""
    return [r for r in audit.requests() if f"/{name}" in r.path]


@pytest.mark.parametrize("is_away", [False, True], ids=["seen-at-once", "while-away"])
def test_what_is_taken_off_a_running_pod_costs_neither_verdict_nor_worker(bench, is_away):
    kinds = [kind for kind in OFF if not (is_away and kind == "another-owner")]
    operator = bench.operator(f"--max-workers={len(kinds)}")
    with bench.nodes(), operator:
        pods = {kind: start_working(bench, kind, f"sleep {RUN_SECONDS}") for kind in kinds}
        if is_away:
            operator.kill()
        for kind, path in pods.items():
            bench.api.patch(path, {"metadata": OFF[kind]})
        if is_away:
            operator.start()
            operator.wait_ready()
        audit, began = Audit(bench.installation), time.monotonic()
        ends = {kind: bench.done(kind) for kind in kinds}
        seconds = time.monotonic() - began
        next_job_runs(bench)

    # A Pod whose owner never was is collected as garbage: then its runner is told to stop.
    collected = ends.pop("another-owner", None)
    assert collected is None or collected["state"] == "DONE"
    assert {kind: end["outcome"] for kind, end in ends.items()} == dict.fromkeys(ends, "SUCCEEDED")
    assert bench.book.twice() == []
    for kind in ends:
        asked = asked_about(audit, kind)
        assert len(asked) <= 6 + seconds * MOST_A_SECOND, asked


def test_a_job_deleted_without_its_pods_gives_its_worker_back(bench):
    with bench.nodes(), bench.operator("--max-workers=1"):
        pod = start_working(bench, "orphaned", f"sleep {RUN_SECONDS}")
        wait_until(lambda: bench.book.counts()["orphaned", "t1"] == 1)
        audit = Audit(bench.installation)
        body = {"propagationPolicy": "Orphan"}
        bench.api.request("DELETE", jobs_path(bench.namespace, "orphaned"), body)
        next_job_runs(bench)
        # Whether its Pod is left in peace is the garbage collector's and the operator's race.
        wait_until_over(bench, pod)
        # The collector knows our kind only half a minute after its definition came.
        wait_until(lambda: bench.api.find(jobs_path(bench.namespace, "orphaned")) is None)
        again = bench.create(bench.book.chain("orphaned", "true"), name="orphaned")
        status = bench.done("orphaned")

    assert (status["outcome"], bench.uid("orphaned")) == ("SUCCEEDED", again)
    assert bench.book.counts()["orphaned", "t1"] == 2
    assert len([r for r in audit.requests() if r.path.startswith(pod)]) <= 12


@pytest.mark.parametrize(
    "finalizer",
    ["example.com/audit", "kopf.zalando.org/KopfFinalizerMarker"],
    ids=["of-a-user", "of-the-framework"],
)
def test_a_deleted_job_that_a_finalizer_keeps_is_ended_and_gives_its_worker_back(bench, finalizer):
    with bench.nodes(), bench.operator("--max-workers=1") as operator:
        manifest = make_job(
            bench.namespace,
            bench.book.chain("kept", "sleep 60"),
            name="kept",
            constraints={"host": "fake-1"},
        )
        manifest["metadata"]["finalizers"] = [finalizer]
        bench.api.create_job(manifest)
        bench.api.wait_state(bench.namespace, "kept", "WORKING")
        bench.api.delete(jobs_path(bench.namespace, "kept"))
        status = bench.done("kept")
        next_job_runs(bench)
        audit = Audit(bench.installation)
        time.sleep(4)
        asked = asked_about(audit, "kept")
        is_ready = operator.is_ready()
        bench.api.patch(jobs_path(bench.namespace, "kept"), {"metadata": {"finalizers": None}})
        bench.api.wait_for(jobs_path(bench.namespace), is_without("kept"), "without it")

    assert (status["state"], status["outcome"]) == ("DONE", "FAILED")
    assert asked == []
    assert is_ready
    assert "Traceback" not in operator.log.read_text()


def test_a_pod_that_a_finalizer_keeps_holds_no_worker_after_its_end(bench):
    with bench.nodes(), bench.operator("--max-workers=1"):
        pod = start_working(bench, "kept", "sleep 2")
        bench.api.patch(pod, {"metadata": {"finalizers": ["example.com/audit"]}})
        bench.api.delete(pod)
        status = bench.done("kept")
        next_job_runs(bench)
        bench.api.patch(pod, {"metadata": {"finalizers": None}})

    assert status["state"] == "DONE"
    assert bench.book.twice() == []


def test_a_pod_that_cannot_start_gives_its_worker_to_others(bench):
    with bench.nodes(), bench.operator("--max-workers=1"):
        bench.create(name="stuck", envFrom=[{"secretRef": {"name": "absent"}}])
        bench.api.wait_for(
            pods_path(bench.namespace), lambda listed: bool(listed["items"]), "with a Pod"
        )
        next_job_runs(bench)
        stuck = bench.status("stuck")
        path = f"/api/v1/namespaces/{bench.namespace}/secrets"
        bench.api.create(path, {"metadata": {"name": "absent"}})
        assert bench.done("stuck")["outcome"] == "SUCCEEDED"

    assert (stuck["state"], stuck["reason"]) == ("QUEUED", "CreateContainerConfigError")


def test_the_message_follows_the_cause(bench):
    path, maps = (
        jobs_path(bench.namespace, "job"),
        f"/api/v1/namespaces/{bench.namespace}/configmaps",
    )
    with bench.nodes(), bench.operator():
        bench.create(factfileFrom={"configMapKeyRef": {"name": "late", "key": "f"}})
        bench.api.wait_for(path, says("no ConfigMap late"), "told that there is none")
        bench.api.create(maps, {"metadata": {"name": "late"}, "data": {"g": ""}})
        bench.api.wait_for(path, says("no key 'f'"), "told that the key is missing")
        factfile = json.dumps(make_factfile(make_task()))
        bench.api.patch(f"{maps}/late", {"data": {"f": factfile}})
        status = bench.done()

    assert (status["outcome"], status["reason"]) == ("SUCCEEDED", "Succeeded")


LIMITS = {
    "resourcequotas": {"hard": {"limits.memory": "1Gi"}},
    "limitranges": {"limits": [{"type": "Container", "min": {"memory": "64Mi"}}]},
}


@pytest.mark.parametrize("kind", LIMITS)
def test_a_namespace_that_takes_no_pod_now_is_waited_for(bench, kind):
    limits = f"/api/v1/namespaces/{bench.namespace}/{kind}"
    bench.api.create(limits, {"metadata": {"name": "strict"}, "spec": LIMITS[kind]})
    if kind == "resourcequotas":
        in_force = bench.api.wait_for
        in_force(f"{limits}/strict", lambda q: bool(q.get("status", {}).get("hard")), "in force")
    with bench.nodes(), bench.operator():
        bench.create()
        waiting = bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="PodForbidden")
        audit = Audit(bench.installation)
        time.sleep(3)
        tries = [r for r in audit.requests() if r.verb == "create" and "/pods" in r.path]
        bench.api.delete(f"{limits}/strict")
        status = bench.done()

    assert "memory" in waiting["message"]
    assert len(tries) <= 2
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)


def test_keys_of_a_config_map_reach_the_tasks_and_never_the_runner(bench):
    keys = {
        "PATH": "/nowhere:/usr/bin:/bin",
        "LD_PRELOAD": "/nowhere.so",
        "FACTOTUM_WEBHOOK_URL": "http://127.0.0.1:9/theirs",
        "FACTOTUM_OPERATOR_URL": "http://127.0.0.1:9/theirs",
        "FACTOTUM_JOB_UID": "another",
        "PYTHONPATH": "/nowhere",
    }
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    bench.api.create(path, {"metadata": {"name": "keys"}, "data": keys})
    given = bench.folder / "given"
    with bench.nodes(), bench.operator():
        factfile = make_factfile(make_task(command=f"export -p > '{given}'", arguments=[]))
        bench.create(factfile, envFrom=[{"configMapRef": {"name": "keys"}}])
        status = bench.done()

    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)
    text = given.read_text()
    for name in ("PATH", "FACTOTUM_WEBHOOK_URL", "PYTHONPATH"):
        assert f"{name}='{keys[name]}'" in text, text


def says(text):
    return lambda job: text in job.get("status", {}).get("message", "")


def wait_until_over(bench, path):
    """Wait until a Pod has ended or is gone."""

    def is_over():
        pod = bench.api.find(path)
        return pod is None or pod["status"]["phase"] in ("Succeeded", "Failed")

    wait_until(is_over)


def wait_until(condition, seconds=60.0):
    """Wait for something that the garbage collector has to do with."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come within {seconds:g} s"
        time.sleep(0.1)


def is_without(name):
    return lambda listed: name not in [job["metadata"]["name"] for job in listed["items"]]
