"""Pods that admission keeps from being made: told, waited for, and nobody else's trouble.

Real: the API server with our chart and its admission, webhooks that are down or never answer, the
operator's process, a test node with the real runner.
"""

import time

import pytest

from support.cluster.admission import never_answering, policy, refused_by, webhook
from support.cluster.kube_api import pods_path
from support.consul.process import free_ports

pytestmark = pytest.mark.cluster


@pytest.fixture
def hung(bench):
    """A second namespace, whose Pods a webhook never answers for."""
    namespace = f"{bench.namespace[:50]}-hung"
    bench.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    bench.api.wait_for(account, lambda _: True, "there")
    yield namespace
    bench.api.delete(f"/api/v1/namespaces/{namespace}")


def events_of(bench, namespace, reason):
    """Give the Events of a reason, waiting for the first: it is recorded beside the status."""
    deadline = time.monotonic() + 5
    while True:
        listed = bench.api.items(f"/api/v1/namespaces/{namespace}/events")
        found = [event for event in listed if event["reason"] == reason]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def create_in(bench, namespace, name):
    mine, bench.namespace = bench.namespace, namespace
    try:
        bench.create(bench.book.chain(name, "true"), name=name)
    finally:
        bench.namespace = mine


@pytest.mark.longer
def test_a_webhook_that_hangs_in_one_namespace_stops_no_other(bench, hung):
    with (
        never_answering() as port,
        bench.nodes(),
        bench.operator(f"--namespace={hung}", "--max-workers=2") as operator,
    ):
        with webhook(bench.api, hung, port):
            time.sleep(1)  # until the API server goes by it
            for number in range(24):
                create_in(bench, hung, f"stuck-{number}")
            time.sleep(1)
            began = time.monotonic()
            for number in range(6):
                bench.create(bench.book.chain(f"free-{number}", "true"), name=f"free-{number}")
            ends = [bench.done(f"free-{number}", seconds=40) for number in range(6)]
            took = time.monotonic() - began
            waiting = bench.api.wait_state(hung, "stuck-20", "QUEUED", reason="PodNotCreated")
            told = events_of(bench, hung, "PodNotCreated")
            assert operator.is_ready()
            assert bench.api.items(pods_path(hung)) == []
        ended = bench.api.wait_all_done(hung, seconds=120)

    assert {end["outcome"] for end in ends} == {"SUCCEEDED"}
    assert took < 25, took
    assert "webhook" in waiting["message"]
    assert told
    assert {job["status"]["outcome"] for job in ended.values()} == {"SUCCEEDED"}
    assert bench.book.twice() == []


def test_a_webhook_that_is_down_is_told_in_its_own_words_and_waited_for(bench):
    (port,) = free_ports(1)
    with bench.nodes(), bench.operator():
        with webhook(bench.api, bench.namespace, port):
            time.sleep(1)
            began = time.monotonic()
            bench.create()
            waiting = bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="PodNotCreated")
            took = time.monotonic() - began
            (event,) = events_of(bench, bench.namespace, "PodNotCreated")
        status = bench.done()

    assert "pods.example.com" in waiting["message"]
    assert took < 10
    assert (event["type"], event["message"]) == ("Warning", waiting["message"])
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)


def test_a_policy_that_refuses_is_waited_for_whatever_its_code(bench):
    with bench.nodes(), bench.operator():
        with policy(bench.api, bench.namespace, "false"):
            refused_by(bench.api, bench.namespace, "the policy says no")
            bench.create()
            waiting = bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="PodForbidden")
        status = bench.done()

    assert "the policy says no" in waiting["message"]
    assert status["outcome"] == "SUCCEEDED"


def test_limits_that_a_limit_range_makes_too_small_are_waited_for(bench):
    limits = f"/api/v1/namespaces/{bench.namespace}/limitranges"
    tiny = {"limits": [{"type": "Container", "default": {"memory": "1Mi"}}]}
    bench.api.create(limits, {"metadata": {"name": "tiny"}, "spec": tiny})
    with bench.nodes(), bench.operator():
        bench.create()
        waiting = bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="PodForbidden")
        bench.api.delete(f"{limits}/tiny")
        status = bench.done()

    assert "memory" in waiting["message"]
    assert status["outcome"] == "SUCCEEDED"
