"""The operator's rights against what it asks for, by the API server's own audit log.

Real: the API server with our chart and its audit log, the operator's process with its account's own
token. What a good day does not need is brought about here, one way each.
"""

import base64
import json
import time

import pytest

from support.cluster.audit import Audit, granted
from support.cluster.kube_api import jobs_path, pods_path
from support.cluster.operator_process import ACCOUNT, LEASE, OPERATOR_NAMESPACE, RELEASE

pytestmark = pytest.mark.cluster

OWN = f"namespaces/{OPERATOR_NAMESPACE}"
SECRET = f"/api/v1/{OWN}/secrets/{RELEASE}-tls"
LEASE_PATH = f"/apis/coordination.k8s.io/v1/{OWN}/leases/{LEASE.partition('/')[2]}"
NOBODY = "127.0.0.1:1"
"""An address where no Consul is: for its entries the cluster's identity is read all the same."""


def its_certificates_are_lost(bench):
    """Have them made anew, and so the webhook told of another authority."""
    if bench.api.find(SECRET):
        bench.api.delete(SECRET)


def its_lease_is_lost(bench):
    """Have it made anew, by who leads."""
    bench.api.delete(LEASE_PATH)
    bench.api.wait_for(LEASE_PATH, lambda _: True, "there again")


def its_certificates_are_spoiled(bench):
    bench.api.patch(SECRET, {"data": {"tls.crt": base64.b64encode(b"none").decode()}})


def claims_are_refused(bench, operator):
    """Have a Pod looked at once more before it is refused, and a token of nobody's key reviewed."""
    uid = bench.create_by_hand(name="asked", duplicatePolicy="Allow")
    pod = bench.pod_side(operator, uid)
    claim = f"/v1/claims/{uid}/1/7", json.dumps({"claim": "c" * 32}).encode()
    assert pod.post(*claim, pod.token)[0] == 410
    head = (
        base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"of somebody else"}').rstrip(b"=").decode()
    )
    assert pod.post(*claim, f"{head}.{pod.token.partition('.')[2]}")[0] == 401
    bench.api.request("DELETE", jobs_path(bench.namespace, "asked"), {})


def wait_event(bench, job, reason, count):
    deadline = time.monotonic() + 120
    path = f"/api/v1/namespaces/{bench.namespace}/events"
    while not any(
        (e["involvedObject"]["name"], e["reason"], e["count"]) == (job, reason, count)
        for e in bench.api.items(path)
    ):
        assert time.monotonic() < deadline, f"{reason} was not told {count} times"
        time.sleep(0.5)


def a_job_from_a_config_map_runs(bench):
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    text = json.dumps(bench.book.chain("good", "true"))
    bench.api.create(path, {"metadata": {"name": "jobs"}, "data": {"x": text}})
    reference = {"configMapKeyRef": {"name": "jobs", "key": "x"}}
    bench.create(factfileFrom=reference, name="good")
    assert bench.done("good")["outcome"] == "SUCCEEDED"


def a_pod_is_given_up(bench):
    """Cancel a job before its Pod claims it: that Pod is deleted."""
    uid = bench.create_by_hand(name="cancelled", duplicatePolicy="Allow")
    name = bench.api.wait_pod(bench.namespace, uid)["metadata"]["name"]
    path = jobs_path(bench.namespace, "cancelled")
    bench.api.patch(path, {"spec": {"desiredState": "Cancel"}})
    assert bench.done("cancelled")["outcome"] == "FAILED"
    deadline = time.monotonic() + 30
    pod = pods_path(bench.namespace, name)
    while "deletionTimestamp" not in json.dumps(bench.api.find(pod) or "deletionTimestamp"):
        assert time.monotonic() < deadline, "the Pod is left"
        time.sleep(0.2)
    bench.api.delete(pod, grace=0)


def a_finished_job_goes(bench):
    bench.create(name="short", ttlSecondsAfterFinished=0, tags={"a": "b"})
    deadline = time.monotonic() + 30
    while bench.api.find(jobs_path(bench.namespace, "short")):
        assert time.monotonic() < deadline, "the job is still there"
        time.sleep(0.2)


def the_same_comes_again(bench):
    """Have two Pods of a job removed before their claims: the second is counted in the Event."""
    uid = bench.create_by_hand(name="again", duplicatePolicy="Allow")
    for launch in (1, 2):
        pod = bench.api.wait_pod(bench.namespace, uid)
        path = pods_path(bench.namespace, pod["metadata"]["name"])
        # It goes once that was seen: one that is gone at once, as is one without a Node, may be
        # made again without a word.
        bench.api.wait_for(path, lambda pod: bool(pod["spec"].get("nodeName")), "on its Node")
        bench.api.delete(path)
        bench.api.wait_for(
            jobs_path(bench.namespace, "again"),
            lambda job, launch=launch: job.get("status", {}).get("launch", 1) > launch,
            "at its next launch",
        )
        bench.api.delete(path, grace=0)
        wait_event(bench, "again", "Relaunching", launch)


def a_waiting_job_is_deleted(bench):
    bench.api.request("DELETE", jobs_path(bench.namespace, "again"), {})
    deadline = time.monotonic() + 30
    while bench.api.find(jobs_path(bench.namespace, "again")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)


@pytest.mark.timeout(400)
def test_every_right_is_used_and_none_is_missing(bench):
    audit = Audit(bench.installation)
    its_certificates_are_lost(bench)
    with bench.nodes(), bench.operator(f"--consul-address={NOBODY}") as operator:
        its_lease_is_lost(bench)
        claims_are_refused(bench, operator)
        a_job_from_a_config_map_runs(bench)
        a_pod_is_given_up(bench)
        the_same_comes_again(bench)
        a_waiting_job_is_deleted(bench)
        operator.stop()
        its_certificates_are_spoiled(bench)
        operator.start()
        operator.wait_ready()
        operator.stop()
        # With a Consul that is away a job stays until its entry has its end.
        with bench.operator() as alone:
            a_finished_job_goes(bench)
            alone.stop()

    seen = [
        ((each.group, each.resource, each.verb), each.name, each.code)
        for each in audit.requests()
        if each.resource
    ]
    rights, used = granted(bench.api, ACCOUNT), {right for right, _, _ in seen}
    assert len(seen) > 20
    assert set(rights) - used == set(), "granted and never used"
    assert used - set(rights) == set(), "used and not granted"
    named = {(r, n) for r, n, _ in seen if rights[r] and n not in rights[r]}
    assert named == set(), "granted for other names only"
    refused = [(r, n) for r, n, code in seen if code == 403 and r != ("", "pods", "create")]
    assert refused == []
