"""Every moment at which the controller, a request or a Pod can be lost, one test each.

Real: the API server, the scheduler, the chart's rights, bound tokens, the operator's process, and
(where a test node plays) the runner's processes. A fake node that nobody plays stands for a
kubelet whose moments the test chooses. The invariants are those of the design: an attempt's tasks
start at most once (I1), a verdict stays (I2), no false success (I3), every job ends rightly (I4).
"""

import json
import subprocess
import time

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.kube_api import jobs_path, pods_path
from support.cluster.operator_process import PROGRAMS
from support.cluster.workbench import states
from support.http.proxies import Act, Proxy

pytestmark = pytest.mark.cluster

ID_A, ID_B = "a" * 32, "b" * 32
CHAIN = make_factfile(make_task("a"), make_task("b", "a"))


def is_verdict(call):
    """Tell a patch that ends a job."""
    return call.method == "PATCH" and b'"DONE"' in call.body


def is_claim(call):
    """Tell a patch that grants a claim."""
    return call.method == "PATCH" and b'"Claimed"' in call.body


def finish(pod, claim_id="", sequence=9):
    """Tell that all went well."""
    return pod.report(claim_id or ID_A, sequence, "SS", final=True)


def test_killed_between_creating_the_pod_and_its_claim_while_the_pod_is_deleted(bench):
    operator = bench.operator()
    with operator:
        uid = bench.create_by_hand(CHAIN)
        first = bench.pod_side(operator, uid)
        operator.kill()
        bench.api.delete(pods_path(bench.namespace, first.name), grace=0)
        operator.start()
        operator.wait_ready()
        second = bench.pod_side(operator, uid)

        assert second.uid != first.uid
        # The deleted Pod's token is worth nothing any more.
        assert first.claim(ID_A)[0] in (401, 410)
        assert second.claim(ID_B)[0] == 200
        assert finish(second, ID_B)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"


def test_killed_before_the_verdict_reached_the_api_server(bench):
    with bench.api_proxy() as proxy, bench.nodes():
        proxy.rule = lambda call: Act.HOLD if is_verdict(call) else Act.PASS
        with bench.operator(server=proxy.url) as operator:
            bench.create(bench.book.chain("job", "true", "true"))
            wait_until(lambda: proxy.seen(Act.HOLD), "a verdict")
            operator.kill()
            proxy.cut()
            assert bench.status()["state"] == "WORKING"
            wait_until(lambda: pod_phases(bench) == ["Succeeded"], "the Pod's end")
            proxy.rule = lambda _: Act.PASS
            operator.start()
            status = bench.done()

    assert status["outcome"] == "SUCCEEDED"
    assert states(status) == {"t1": "SUCCEEDED", "t2": "SUCCEEDED"}
    assert dict(bench.book.counts()) == {("job", "t1"): 1, ("job", "t2"): 1}


def test_killed_after_the_verdict_was_written_and_before_it_was_told(bench):
    with bench.api_proxy() as proxy, bench.nodes():
        proxy.rule = lambda call: Act.LOSE_ANSWER if is_verdict(call) else Act.PASS
        with bench.operator(server=proxy.url) as operator:
            bench.create(bench.book.chain("job", "true", "exit 3"))
            written = bench.done()
            operator.kill()
            proxy.rule = lambda _: Act.PASS
            operator.start()
            operator.wait_ready()
            wait_until(lambda: pod_phases(bench) == ["Failed"], "the Pod's end")
            time.sleep(1)

            assert bench.status() == written
    assert written["outcome"] == "FAILED"
    assert bench.book.twice() == []


def test_claim_whose_answer_was_lost_is_granted_again_to_the_same_process(bench):
    lost = []

    def lose_first_claim(call):
        if "/v1/claims/" in call.path and not lost:
            lost.append(call)
            return Act.LOSE_ANSWER
        return Act.PASS

    with Proxy("127.0.0.1", 0, as_operator=True) as proxy, bench.nodes():
        proxy.rule = lose_first_claim
        operator = bench.operator(claims_url=proxy.url)
        proxy.lead_to(*operator.claims)
        with operator:
            proxy.speak_for(bench.installation.certificates())
            bench.create(bench.book.chain("job", "true", "true"))
            status = bench.done()

    assert lost
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)
    assert dict(bench.book.counts()) == {("job", "t1"): 1, ("job", "t2"): 1}


def test_claim_whose_patch_lost_its_answer_is_granted_to_the_process_that_asked(bench):
    lost = []

    def lose_first_claim(call):
        if is_claim(call) and not lost:
            lost.append(call)
            return Act.LOSE_ANSWER
        return Act.PASS

    with bench.api_proxy() as proxy, bench.nodes():
        proxy.rule = lose_first_claim
        with bench.operator(server=proxy.url):
            bench.create(bench.book.chain("job", "true", "true"))
            status = bench.done()

    assert lost
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)
    assert bench.book.twice() == []


def test_second_runner_in_the_same_pod_runs_nothing(bench):
    with bench.operator() as operator:
        uid = bench.create_by_hand(bench.book.chain("job", "true", "true"))
        pod = bench.pod_side(operator, uid)

        granted, work = pod.claim(ID_A)
        refused, answer = pod.claim(ID_B)
        again, same = pod.claim(ID_A)
        token = bench.folder / "token"
        token.write_text(pod.token)
        log = bench.folder / "termination-log"
        variables = pod.variables | {
            "FACTOTUM_TOKEN_FILE": str(token),
            "FACTOTUM_TERMINATION_LOG": str(log),
            "PATH": "/usr/bin:/bin",
        }
        real = subprocess.run(
            [PROGRAMS / "factotum", "work"],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (granted, refused, again) == (200, 409, 200)
        assert "claimed" in answer["error"]
        assert same == work
        assert real.returncode == 75, real.stderr
        assert bench.book.counts().total() == 0
        assert pod.report(ID_B, 1, "SS", final=True)[0] == 410
        assert finish(pod)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"


def test_late_claim_of_a_pod_that_was_given_up_is_refused(bench):
    with bench.operator() as operator:
        uid = bench.create_by_hand(CHAIN)
        late = bench.pod_side(operator, uid)
        path = f"{pods_path(bench.namespace, late.name)}/status"
        bench.api.patch(path, {"status": {"phase": "Failed", "reason": "NodeLost"}})
        bench.api.wait_for(
            jobs_path(bench.namespace, "job"),
            lambda job: job["status"].get("launch") == 2,
            "at its second launch",
        )

        code, answer = late.claim(ID_A)
        assert (code, "launch" in answer["error"]) == (410, True), answer
        wait_until(lambda: len(bench.api.pods_of(bench.namespace, uid)) == 2, "a second Pod")
        fresh = next(
            pod for pod in bench.api.pods_of(bench.namespace, uid) if not pod_is(pod, late.uid)
        )
        second = bench.pod_side_of(operator, fresh)
        assert second.claim(ID_B)[0] == 200
        # Once more, now that somebody else has it.
        assert late.claim(ID_A)[0] == 410
        assert late.report(ID_A, 5, "FF", final=True)[0] == 410
        assert finish(second, ID_B)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"


def test_tokens_of_other_pods_and_audiences_claim_nothing(bench):
    from support.cluster.pod_side import bound_token

    with bench.operator() as operator:
        one = bench.pod_side(operator, bench.create_by_hand(CHAIN, name="one"))
        other_uid = bench.create_by_hand(CHAIN, name="other", duplicatePolicy="Allow")
        other = bench.pod_side(operator, other_uid)
        pod = bench.api.get(pods_path(bench.namespace, one.name))
        path = f"/v1/claims/{other_uid}/1/1"
        body = json.dumps({"claim": ID_A}).encode()

        assert other.post(path, body, one.token)[0] == 410
        assert (
            other.post(path, body, bound_token(bench.api, pod, "https://kubernetes.default.svc"))[0]
            == 401
        )
        assert other.post(path, body, "no-token")[0] == 401
        assert other.post(path, body, "")[0] == 401
        assert other.claim(ID_A)[0] == 200


def test_reports_out_of_order_change_nothing_back(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(CHAIN))
        assert pod.report(ID_A, 1, "RW")[0] == 410  # before any claim
        assert pod.claim(ID_A)[0] == 200
        assert pod.report(ID_A, 5, "SR")[0] == 200
        bench.api.wait_state(bench.namespace, "job", "WORKING", progress="1/2")
        assert pod.report(ID_A, 3, "RW")[0] == 200
        time.sleep(1.5)
        assert bench.status()["progress"] == "1/2"
        assert pod.report(ID_A, 9, "SS", final=True)[0] == 200
        verdict = bench.status()
        assert (verdict["state"], verdict["outcome"]) == ("DONE", "SUCCEEDED")
        assert pod.report(ID_A, 12, "SF", final=True)[0] == 410
        assert pod.report(ID_A, 8, "SR")[0] == 410
        assert pod.report(ID_A, 9, "SS", final=True)[0] == 200  # asked again after a lost answer
        assert pod.claim(ID_A)[0] == 410

        assert bench.status() == verdict


def test_job_deleted_and_made_again_under_its_old_name(bench):
    with bench.nodes(), bench.operator() as operator:
        old_uid = bench.create(bench.book.chain("old", "sleep 60", "true"))
        bench.api.wait_state(bench.namespace, "job", "WORKING")
        wait_until(lambda: bench.book.counts().total() == 1, "the old job's first task")
        bench.api.delete(jobs_path(bench.namespace, "job"))
        new_uid = bench.create(bench.book.chain("new", "true", "true"))
        status = bench.done()

        assert new_uid != old_uid
        assert status["outcome"] == "SUCCEEDED"
        assert dict(bench.book.counts()) == {
            ("old", "t1"): 1,
            ("new", "t1"): 1,
            ("new", "t2"): 1,
        }
        # The garbage collector may know the kind only half a minute after its CRD came; the old
        # runner hears earlier that its job is gone.
        wait_until(
            lambda: all(
                pod["status"]["phase"] in ("Succeeded", "Failed")
                for pod in bench.api.pods_of(bench.namespace, old_uid)
            ),
            "the old runner's end",
        )
        assert operator.is_ready()


def test_controller_away_while_a_job_is_deleted_and_made_again(bench):
    operator = bench.operator()
    with operator:
        old = bench.pod_side(operator, bench.create_by_hand(CHAIN))
        assert old.claim(ID_A)[0] == 200
        operator.kill()
        bench.api.delete(jobs_path(bench.namespace, "job"))
        uid = bench.create_by_hand(CHAIN)
        operator.start()
        operator.wait_ready()

        assert old.report(ID_A, 9, "SS", final=True)[0] in (401, 410, 503)
        bench.api.wait_state(bench.namespace, "job", "QUEUED", reason="WaitingForJobId")
        bench.api.delete(pods_path(bench.namespace, old.name), grace=0)
        pod = bench.pod_side(operator, uid)
        assert pod.claim(ID_B)[0] == 200
        assert bench.status()["state"] == "WORKING"
        assert finish(pod, ID_B)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"


OBLIGING = "trap 'exit 0' TERM; sleep 60 & wait"
"""A command that ends well when it is told to stop."""


def test_pod_deleted_in_a_task_that_ends_well_on_sigterm_is_no_success(bench):
    with bench.nodes(), bench.operator():
        uid = bench.create(bench.book.chain("job", OBLIGING))
        running_task(bench)
        (pod,) = bench.api.pods_of(bench.namespace, uid)
        bench.api.delete(pods_path(bench.namespace, pod["metadata"]["name"]))
        status = bench.done()

    assert status["outcome"] == "FAILED"
    assert states(status) == {"t1": "FAILED"}
    assert bench.book.twice() == []


def test_pod_drained_in_a_task_that_ends_well_on_sigterm_is_no_success(bench):
    with bench.nodes(), bench.operator():
        bench.create(bench.book.chain("job", "true", OBLIGING, "true"))
        running_task(bench, "t2")
        try:
            bench.installation.cluster.kubectl(
                *("drain", "fake-1", "--ignore-daemonsets", "--force", "--delete-emptydir-data"),
                f"--pod-selector=factotum.snowplowanalytics.com/job-uid={bench.uid()}",
            )
        finally:
            bench.installation.cluster.kubectl("uncordon", "fake-1")
        status = bench.done()

    assert status["outcome"] == "FAILED"
    assert states(status)["t2"] == "FAILED"
    assert states(status)["t3"] != "SUCCEEDED"
    assert bench.book.twice() == []


def test_runner_killed_for_memory_loses_no_result_and_repeats_none(bench):
    with bench.nodes(), bench.operator():
        bench.create(bench.book.chain("job", "true", "kill -KILL $PPID; sleep 5", "true"))
        status = bench.done()

    assert status["outcome"] == "FAILED"
    assert states(status) == {"t1": "SUCCEEDED", "t2": "FAILED", "t3": "WAITING"}
    assert bench.book.twice() == []


def test_frozen_controller_that_wakes_up_after_another_took_its_place(bench):
    """It ends as soon as it wakes up, and nothing runs twice."""
    frozen = bench.operator()
    other = bench.operator(name="other")
    with bench.nodes(), frozen:
        bench.create(bench.book.chain("first", "sleep 4", "true"), name="first")
        # Its runner has the claim's answer: it knows of no other operator that would give it.
        wait_until(lambda: "first" in bench.book.first_starts(), "its first task")
        frozen.freeze()
        with other:
            bench.create(bench.book.chain("second", "true", "true"), name="second")
            status = bench.done("second")
            frozen.thaw()
            first = bench.done("first")
            wait_until(frozen.has_ended, "the end of who led before")

    assert (first["outcome"], status["outcome"]) == ("SUCCEEDED", "SUCCEEDED")
    assert bench.book.twice() == []


def pod_is(pod, uid):
    return pod["metadata"]["uid"] == uid


def pod_phases(bench):
    return [pod["status"].get("phase") for pod in bench.api.items(pods_path(bench.namespace))]


def running_task(bench, task="t1"):
    """Wait until a task runs and the status says so."""
    bench.api.wait_for(
        jobs_path(bench.namespace, "job"),
        lambda job: {"name": task, "state": "RUNNING"}.items()
        <= next(
            (t for t in job.get("status", {}).get("tasks", ()) if t["name"] == task), {}
        ).items(),
        f"running {task}",
    )


def wait_until(condition, what, seconds=30.0):
    """Wait for something that is no object's state."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)
