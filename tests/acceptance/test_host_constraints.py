"""Host constraints: the Pod is on the right node, or the job says clearly why there is none.

Real: the API server, the scheduler, the operator's process and the system's resolver. The hosts are
fake Node objects with addresses of the test's choice; names come from an /etc/hosts of the
operator's own (a mount namespace), and a resolver that never answers is a socket that never does.
"""

import socket
import time

import pytest

from support.cluster.acceptance import report
from support.cluster.hosts import node_named, private_files
from support.cluster.kube_api import PodWatch
from support.cluster.workbench import Workbench

pytestmark = pytest.mark.cluster

NO_ADDRESS = "could not find any IPv4 addresses for the supplied hostname"
NO_MATCH = "failed to match any of the interface addresses to the found host addresses"


def no_op(value, reason):
    return (
        f'Warn: the specifed host constraint "{value}" did not match, no tasks have been executed.'
        f" Reason: {reason}"
    )


def node_of(bench, uid):
    """Wait for a job's Pod to be bound and give the node's name."""
    pod = bench.api.wait_pod(bench.namespace, uid)
    path = f"/api/v1/namespaces/{bench.namespace}/pods/{pod['metadata']['name']}"
    found = bench.api.wait_for(path, lambda p: p["spec"].get("nodeName"), "bound to a node")
    return found["spec"]["nodeName"]


def constrained(bench, value, name):
    return bench.create(name=name, constraints={"host": value}, duplicatePolicy="Allow")


def test_constraints_that_mean_a_node_bring_the_pod_there(bench: Workbench):
    files = {"hosts": "127.0.0.1 localhost\n198.51.100.2 second.example.org\n"}
    means = {
        "fake-1": "fake-1",
        "198.51.100.2": "fake-2",
        "203.0.113.3": "fake-3",
        "second.example.org": "fake-2",
        "label-of-odd": "odd",
        "HOST.odd": "odd",
    }
    addresses = (("Hostname", "HOST.odd"), ("InternalIP", "198.51.100.9"))
    with (
        private_files(bench.folder, **files) as prefix,
        node_named(bench.api, "odd", *addresses),
        bench.operator(prefix=prefix),
    ):
        anywhere = [constrained(bench, "*", "any")]
        uids = {v: constrained(bench, v, f"j{n}") for n, v in enumerate(means)}
        seen = {value: bench.api.wait_pod(bench.namespace, uid) for value, uid in uids.items()}
        chosen = {
            # Nobody keeps the odd node's taint away, so its Pod may wait for the scheduler.
            value: pod["spec"].get("nodeSelector") or pod["spec"]["affinity"]
            for value, pod in seen.items()
        }
        placed = {v: node_of(bench, uids[v]) for v in means if means[v] != "odd"}
        free = bench.api.wait_pod(bench.namespace, anywhere[0])

    assert placed == {value: node for value, node in means.items() if node != "odd"}
    assert chosen["label-of-odd"] == {"kubernetes.io/hostname": "label-of-odd"}
    assert chosen["HOST.odd"] == {"kubernetes.io/hostname": "label-of-odd"}
    assert "nodeSelector" not in free["spec"]
    report("4 right node", values=len(means) + 1, right=len(means) + 1)


def test_constraints_that_mean_no_node_end_well_without_a_pod(bench: Workbench):
    host_name = socket.gethostname()
    names_known = (
        "127.0.0.1 localhost",
        "192.0.2.7 elsewhere.example.org",
        f"127.1.1.1 {host_name}",
    )
    files = {"hosts": "".join(f"{line}\n" for line in names_known)}
    wanted = {
        "no-such-host.invalid": NO_ADDRESS,
        "": NO_ADDRESS,
        "192.0.2.1": NO_MATCH,
        "elsewhere.example.org": NO_MATCH,
        host_name: NO_MATCH,
    }
    with (
        private_files(bench.folder, **files) as prefix,
        PodWatch(bench.api, bench.namespace) as watch,
        bench.operator(prefix=prefix),
    ):
        names = {value: f"j{n}" for n, value in enumerate(wanted)}
        for value, name in names.items():
            constrained(bench, value, name)
        jobs = bench.api.wait_all_done(bench.namespace, seconds=40)
        time.sleep(0.5)
        events = bench.api.items(f"/api/v1/namespaces/{bench.namespace}/events")
        pods = list(watch.pods.values())

    for value, reason in wanted.items():
        status = jobs[names[value]]["status"]
        found = (status["outcome"], status["reason"], status["message"])
        assert found == ("SUCCEEDED", "HostConstraintNotMatched", no_op(value, reason))
        assert any(
            event["type"] == "Warning"
            and event["reason"] == "HostConstraintNotMatched"
            and event["involvedObject"]["name"] == names[value]
            for event in events
        ), value
    assert not pods
    report("4 no node", values=len(wanted), no_ops=len(wanted), pods=0)


def test_two_nodes_with_one_address_are_a_clear_error(bench: Workbench):
    address = ("InternalIP", "198.51.100.77")
    with (
        node_named(bench.api, "twin-a", address),
        node_named(bench.api, "twin-b", address),
        PodWatch(bench.api, bench.namespace) as watch,
        bench.operator(),
    ):
        constrained(bench, "198.51.100.77", "job")
        status = bench.done()

    assert (status["outcome"], status["reason"]) == ("FAILED", "HostConstraintAmbiguous")
    assert "twin-a, twin-b" in status["message"]
    assert not watch.pods
    report("4 two nodes", outcome=status["outcome"], reason=status["reason"], pods=0)


def test_node_that_cannot_take_pods_makes_the_job_wait_until_it_can(bench: Workbench):
    api = bench.api
    api.patch("/api/v1/nodes/fake-2", {"spec": {"unschedulable": True}})
    try:
        with bench.operator():
            uid = constrained(bench, "fake-2", "job")
            waiting = api.wait_state(bench.namespace, "job", "QUEUED", reason="NodeNotReady")
            assert api.pods_of(bench.namespace, uid) == []
            api.patch("/api/v1/nodes/fake-2", {"spec": {"unschedulable": None}})
            began = time.monotonic()
            assert node_of(bench, uid) == "fake-2"
            waited = time.monotonic() - began
    finally:
        api.patch("/api/v1/nodes/fake-2", {"spec": {"unschedulable": None}})
    assert "cordoned" in waiting["message"]
    report("4 cordoned node", state="QUEUED", pod_after_seconds=waited)


def test_resolver_that_does_not_answer_makes_the_job_wait_and_delays_no_other(bench: Workbench):
    # Any address of the loop will do, as long as nothing else has port 53 there.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.53.7", 53))
        files = {
            "resolv": "nameserver 127.0.53.7\noptions timeout:30 attempts:3\n",
            # A Pod's own name is in its /etc/hosts, too.
            "hosts": f"127.0.0.1 localhost {socket.gethostname()}\n",
        }
        with (
            private_files(bench.folder, **files) as prefix,
            PodWatch(bench.api, bench.namespace) as watch,
            bench.operator("--dns-timeout=1", prefix=prefix),
        ):
            for number in range(12):
                constrained(bench, f"host-{number}.example.org", f"unknown-{number}")
            status = bench.api.wait_state(
                bench.namespace, "unknown-0", "QUEUED", reason="HostConstraintUnresolved"
            )
            began = time.monotonic()
            uid = constrained(bench, "fake-1", "known")
            assert node_of(bench, uid) == "fake-1"
            waited = time.monotonic() - began
            owners = {p["metadata"]["ownerReferences"][0]["name"] for p in watch.pods.values()}

    assert "no answer within 1 s" in status["message"]
    assert owners == {"known"}
    assert waited < 3
    report("4 silent resolver", state=status["state"], reason=status["reason"], other_job=waited)
