"""Jobs of one job id on a real API server: one at a time, whoever is killed, deleted or elsewhere.

Real: the API server with our chart and its admission, the operator's process, a test node with the
real runner as local processes, Consul.
"""

import json

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.kube_api import jobs_path, pods_path
from support.consul.entries import PREFIX
from support.consul.process import ConsulProcess

pytestmark = pytest.mark.cluster

CLAIM, OTHER_CLAIM = "a" * 32, "b" * 32
ONE = make_factfile(make_task("a"))
AWAY = {"constraints": {"host": "fake-3"}}


def alone(bench, seconds=1):
    """Build a factfile whose task tells if another's shell is alive at the same time.

    It lasts as long as was said last; to say something else makes no other job id.
    """
    last, overlap, lasts = (bench.folder / name for name in ("last", "overlap", "lasts"))
    lasts.write_text(str(seconds))
    command = f"kill -0 $(cat {last}) && touch {overlap}; echo $$ > {last}; sleep $(cat {lasts})"
    return make_factfile(make_task("a", command=command, arguments=[]))


def waiting_for(bench, name, holder):
    def is_told(job):
        status = job.get("status") or {}
        return status.get("reason") == "WaitingForJobId" and holder in status["message"]

    bench.api.wait_for(jobs_path(bench.namespace, name), is_told, f"waiting for {holder}")


def test_three_jobs_of_one_id_run_one_after_the_other(bench):
    with bench.nodes(), bench.operator():
        for name in ("one", "two", "three"):
            bench.create(alone(bench), name=name)
        ends = bench.api.wait_all_done(bench.namespace, seconds=60)

    assert {end["status"]["outcome"] for end in ends.values()} == {"SUCCEEDED"}
    assert len({end["status"]["jobId"] for end in ends.values()}) == 1
    assert not (bench.folder / "overlap").exists()


def test_policies_decide_what_becomes_of_a_duplicate(bench):
    with bench.nodes(), bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(ONE, name="first"))
        assert pod.claim(CLAIM)[0] == 200
        bench.create(ONE, name="queued")
        bench.create(ONE, name="rejected", duplicatePolicy="Reject")
        bench.create(ONE, name="allowed", duplicatePolicy="Allow")
        rejected, allowed = bench.done("rejected"), bench.done("allowed")
        waiting_for(bench, "queued", "job first")
        assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
        bench.api.delete(pods_path(bench.namespace, pod.name), grace=0)
        queued = bench.done("queued")

    assert (rejected["outcome"], rejected["reason"]) == ("FAILED", "Duplicate")
    assert "job first has the same job id" in rejected["message"]
    assert (allowed["outcome"], queued["outcome"]) == ("SUCCEEDED", "SUCCEEDED")


def test_an_operator_killed_between_pod_and_claim_knows_the_holder_again(bench):
    operator = bench.operator()
    with operator:
        bench.create_by_hand(ONE, name="holder")
        pod = bench.pod_side(operator, bench.uid("holder"))
        operator.kill()
        # Made while nobody looks, by name before the holder.
        for name in ("a-late", "b-late"):
            bench.create(ONE, name=name, **AWAY)
        operator.start()
        operator.wait_ready()
        waiting_for(bench, "a-late", "job holder")
        waiting_for(bench, "b-late", "job holder")
        assert pod.claim(CLAIM)[0] == 200
        operator.kill()
        operator.start()
        operator.wait_ready()
        assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
        pods = {p["metadata"]["name"] for p in bench.api.items(pods_path(bench.namespace))}
        bench.api.delete(pods_path(bench.namespace, pod.name), grace=0)
        # Both were made within a second, so the UID decides.
        first = min("a-late", "b-late", key=bench.uid)
        following = bench.pod_side(operator, bench.uid(first))
        assert following.claim(OTHER_CLAIM)[0] == 200

    assert pods == {pod.name}


def test_a_deleted_holders_pod_is_waited_for(bench):
    with bench.nodes(), bench.operator():
        bench.create(alone(bench, seconds=20), name="holder")
        bench.api.wait_state(bench.namespace, "holder", "WORKING")
        body = {"propagationPolicy": "Orphan"}
        bench.api.request("DELETE", jobs_path(bench.namespace, "holder"), body)
        bench.create(alone(bench), name="next")
        waiting_for(bench, "next", "has the same job id")
        end = bench.done("next")

    assert end["outcome"] == "SUCCEEDED"
    assert not (bench.folder / "overlap").exists()


@pytest.mark.acceptance
def test_a_holder_whose_pod_is_removed_by_force_is_waited_for_a_minute(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(ONE, name="holder"))
        assert pod.claim(CLAIM)[0] == 200
        bench.create(ONE, name="next", **AWAY)
        waiting_for(bench, "next", "job holder")
        bench.api.delete(pods_path(bench.namespace, pod.name), grace=0)
        lost = bench.done("holder", seconds=90)
        following = bench.pod_side(operator, bench.uid("next"))
        assert following.claim(OTHER_CLAIM)[0] == 200

    assert lost["reason"] == "Lost"


@pytest.mark.consul
def test_what_another_server_has_queued_or_running_is_not_run(bench, tmp_path):
    consul = ConsulProcess.fresh(tmp_path / "consul")
    with consul, bench.nodes(), bench.operator(f"--consul-address={consul.address}"):
        bench.create(ONE, name="probe")
        key = f"{PREFIX}/{bench.namespace}/{bench.done('probe')['jobId']}"
        theirs = json.loads(consul.get(key)) | {
            "state": "WORKING",
            "lastRunFrom": "factotum",
            "lastOutcome": "RUNNING",
        }
        consul.put(key, json.dumps(theirs).encode())
        bench.create(ONE, name="queued")
        bench.create(ONE, name="rejected", duplicatePolicy="Reject")
        bench.create(ONE, name="allowed", duplicatePolicy="Allow")
        rejected, allowed = bench.done("rejected"), bench.done("allowed")
        waiting_for(bench, "queued", "'factotum' has this job id queued or running")
        left_alone = json.loads(consul.get(key))
        ended = theirs | {"state": "DONE", "lastOutcome": "SUCCEEDED"}
        consul.put(key, json.dumps(ended).encode())
        queued = bench.done("queued", seconds=90)

    assert (rejected["outcome"], rejected["reason"]) == ("FAILED", "Duplicate")
    assert allowed["outcome"] == "SUCCEEDED"
    assert left_alone == theirs
    assert queued["outcome"] == "SUCCEEDED"


@pytest.mark.consul
def test_a_consul_that_is_away_keeps_no_job_and_the_status_says_so(bench, tmp_path):
    consul = ConsulProcess.fresh(tmp_path / "consul")
    with consul:
        address = consul.address
    with bench.operator(f"--consul-address={address}") as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(ONE))
        assert pod.claim(CLAIM)[0] == 200

    assert "Consul could not be asked whether others run it too" in bench.status()["message"]
