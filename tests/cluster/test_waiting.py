"""Jobs whose Pod cannot start yet, or whose ground shifts before the claim: told, and put right.

Real: the API server with our chart and its admission, the operator's process, a test node with the
real runner.
"""

import json

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.kube_api import jobs_path, pods_path

pytestmark = pytest.mark.cluster

CLAIM = "d" * 32
KEY = "job.factfile"


def put_config_map(bench, factfile):
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    body = {"metadata": {"name": "jobs"}, "data": {KEY: json.dumps(factfile)}}
    if bench.api.find(f"{path}/jobs"):
        bench.api.patch(f"{path}/jobs", body)
    else:
        bench.api.create(path, body)
    return {"configMapKeyRef": {"name": "jobs", "key": KEY}}


def test_missing_factfile_is_told_and_the_job_runs_once_it_is_there(bench):
    reference = {"configMapKeyRef": {"name": "jobs", "key": KEY}}
    with bench.nodes(), bench.operator():
        bench.create(factfileFrom=reference)
        waiting = bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="FactfileNotFound")
        put_config_map(bench, bench.book.chain("job", "true"))
        status = bench.done()

    assert "there is no ConfigMap jobs" in waiting["message"]
    assert (status["outcome"], bench.book.counts().total()) == ("SUCCEEDED", 1)


def test_factfile_away_at_the_claim_is_asked_for_again(bench):
    operator = bench.operator()
    with operator:
        factfile = make_factfile(make_task("a"))
        reference = put_config_map(bench, factfile)
        pod = bench.pod_side(operator, bench.create_by_hand(factfileFrom=reference))
        operator.kill()
        bench.api.delete(f"/api/v1/namespaces/{bench.namespace}/configmaps/jobs")
        operator.start()
        operator.wait_ready()

        assert pod.claim(CLAIM)[0] == 503
        put_config_map(bench, factfile)
        code, work = pod.claim(CLAIM)
        assert (code, json.loads(work["factfile"])) == (200, factfile)


def test_unclaimed_pod_that_is_being_deleted_is_replaced_and_cannot_claim(bench):
    with bench.operator() as operator:
        uid = bench.create_by_hand()
        old = bench.pod_side(operator, uid)
        path = pods_path(bench.namespace, old.name)
        bench.api.wait_for(path, lambda pod: pod["spec"].get("nodeName"), "bound")
        bench.api.delete(path)
        bench.api.wait_for(
            jobs_path(bench.namespace, "job"),
            lambda job: job.get("status", {}).get("launch") == 2,
            "at its second launch",
        )
        new = bench.pod_side(operator, uid)

        assert old.claim(CLAIM)[0] == 410
        assert new.uid != old.uid
        assert new.claim("e" * 32)[0] == 200
        assert new.report("e" * 32, 3, "S", final=True)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"


def test_pods_beyond_the_workers_wait_and_say_so(bench):
    with bench.nodes(), bench.operator("--max-workers=2"):
        for number in range(5):
            name = f"job-{number}"
            bench.create(bench.book.chain(name, "sleep 2"), name=name)
        waiting = bench.api.wait_state(
            bench.namespace, "job-4", "QUEUED", reason="WaitingForWorker"
        )
        working = [bench.status(f"job-{n}").get("state") == "WORKING" for n in range(5)].count(True)
        jobs = bench.api.wait_all_done(bench.namespace, seconds=60)

    assert waiting["outcome"] == "WAITING"
    assert working <= 2
    assert all(job["status"]["outcome"] == "SUCCEEDED" for job in jobs.values())
