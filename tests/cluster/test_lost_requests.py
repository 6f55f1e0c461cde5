"""Requests lost on their way: between operator and API server, between runner and operator.

Real: the API server with our chart, the operator's process, a test node with the real runner; a
proxy on the way loses what the test says.
"""

import time

import pytest

from support.cluster.kube_api import PodWatch, pods_path
from support.cluster.workbench import states
from support.http.proxies import Act, Proxy

pytestmark = pytest.mark.cluster


def once(matches, act):
    """Give a rule for the first request that matches."""
    done = []

    def rule(call):
        if matches(call) and not done:
            done.append(call)
            return act
        return Act.PASS

    return rule


def creates_pod(call):
    return call.method == "POST" and call.path.partition("?")[0].endswith("/pods")


def ends_job(call):
    return call.method == "PATCH" and b'"DONE"' in call.body


@pytest.mark.parametrize("act", [Act.LOSE_ANSWER, Act.REFUSE], ids=lambda act: act.name.lower())
@pytest.mark.parametrize("request_kind", [creates_pod, ends_job], ids=lambda kind: kind.__name__)
def test_one_lost_request_changes_nothing_in_the_end(bench, request_kind, act):
    with bench.api_proxy() as proxy, bench.nodes(), PodWatch(bench.api, bench.namespace) as watch:
        proxy.rule = once(request_kind, act)
        with bench.operator(server=proxy.url):
            bench.create(bench.book.chain("job", "true", "true"))
            status = bench.done()
            time.sleep(0.5)

    assert proxy.seen(act)
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)
    assert len(watch.pods) == 1
    assert dict(bench.book.counts()) == {("job", "t1"): 1, ("job", "t2"): 1}


def test_jobs_that_end_while_the_api_server_is_out_of_reach_are_told_rightly(bench):
    with bench.api_proxy() as proxy, bench.nodes(), bench.operator(server=proxy.url):
        for number in range(4):
            name = f"job-{number}"
            end = "exit 9" if number == 3 else "true"
            bench.create(bench.book.chain(name, "sleep 2", end), name=name)
        for number in range(4):
            bench.api.wait_state(bench.namespace, f"job-{number}", "WORKING")
        proxy.rule = lambda _: Act.REFUSE
        proxy.cut()
        bench.api.wait_for(pods_path(bench.namespace), all_ended, "ended")
        assert all(bench.status(f"job-{n}")["state"] == "WORKING" for n in range(4))
        proxy.rule = lambda _: Act.PASS
        jobs = bench.api.wait_all_done(bench.namespace, seconds=60)

    outcomes = [jobs[f"job-{n}"]["status"]["outcome"] for n in range(4)]
    assert outcomes == ["SUCCEEDED"] * 3 + ["FAILED"]
    assert bench.book.twice() == []


def test_runner_that_can_only_claim_still_has_its_verdict(bench):
    with Proxy("127.0.0.1", 0, as_operator=True) as proxy, bench.nodes():
        proxy.rule = lambda call: Act.PASS if "/claims/" in call.path else Act.REFUSE
        operator = bench.operator(claims_url=proxy.url)
        proxy.lead_to(*operator.claims)
        with operator:
            proxy.speak_for(bench.installation.certificates())
            bench.create(bench.book.chain("job", "true", "exit 4", "true"))
            status = bench.done()

    assert status["outcome"] == "FAILED"
    assert states(status) == {"t1": "SUCCEEDED", "t2": "FAILED", "t3": "SKIPPED"}
    assert [task.get("returnCode") for task in status["tasks"]] == [0, 4, None]


def all_ended(listed):
    return all(p["status"].get("phase") in ("Succeeded", "Failed") for p in listed["items"])
