"""Two operators: one leads, the other takes its place, and nothing is done twice or undone.

Real: the API server, the chart's rights, both operators' processes with their deaths, the Lease, a
test node with the real runner. Pods come in by one address for both, as by a Service.
"""

import contextlib
import subprocess
import time

import pytest

from support.cluster.acceptance import report
from support.cluster.kube_api import jobs_path
from support.cluster.operator_process import LEASE
from support.cluster.workbench import Workbench
from support.http.proxies import Act
from support.http.services import Service

pytestmark = pytest.mark.cluster

JOBS = 30
LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}".format(*LEASE.split("/"))
EXIT_DEPOSED = 3
CLAIM_ID = "c" * 32


class Pair:
    """Two operators behind one address; the first leads."""

    def __init__(self, bench: Workbench, service: Service, servers=("", "")) -> None:
        self.bench = bench
        self.first, self.second = (
            bench.operator(
                f"--max-workers={JOBS}", name=name, claims_url=service.url, server=server
            )
            for name, server in zip(("operator", "other"), servers, strict=True)
        )
        service.backends = [self.first.claims, self.second.claims]


@contextlib.contextmanager
def pair_of_operators(bench, *servers):
    """Run two of them."""
    with Service() as service, contextlib.ExitStack() as ends:
        pair = Pair(bench, service, *([servers] if servers else []))
        for each in (pair.first, pair.second):
            # The Lease is given up, so that the next test need not wait for it.
            ends.callback(end, each)
        pair.first.start()
        pair.first.wait_ready()
        pair.second.start()
        pair.second.wait_ready(leading=False)
        assert not pair.second.is_leading()
        yield pair


def end(operator):
    with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
        operator.stop()
    operator.kill()


@pytest.fixture
def pair(bench):
    with bench.nodes(), pair_of_operators(bench) as made:
        yield made


def wait_until(condition, what, seconds=90.0):
    """Wait for something; return how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


def create_jobs(bench, seconds):
    """Have thirty jobs of three tasks, of which a third fail."""
    for number in range(JOBS):
        last = "exit 3" if number % 3 == 0 else "true"
        name = f"job-{number}"
        bench.create(bench.book.chain(name, "true", f"sleep {seconds}", last), name=name)


def check_jobs(bench, *, seconds=180.0):
    """Wait until all have ended, and see that each is right and no task ran twice."""
    ended = bench.api.wait_all_done(bench.namespace, seconds=seconds)
    outcomes = {name: job["status"]["outcome"] for name, job in ended.items()}
    assert outcomes == {f"job-{n}": "FAILED" if n % 3 == 0 else "SUCCEEDED" for n in range(JOBS)}
    assert bench.book.twice() == []
    assert bench.book.counts().total() == 3 * JOBS
    return ended


def states(bench):
    jobs = bench.api.items(jobs_path(bench.namespace))
    return [job.get("status", {}).get("state") for job in jobs]


def has_claims(bench):
    """Tell whether a third were claimed, some of which may have ended."""
    return sum(state in ("WORKING", "DONE") for state in states(bench)) >= JOBS // 3


def holder(bench):
    return bench.api.get(LEASE_PATH)["spec"].get("holderIdentity")


def test_leader_killed_among_thirty_jobs_is_followed_within_fifteen_seconds(bench, pair):
    create_jobs(bench, seconds=3)
    wait_until(lambda: has_claims(bench), "the first claims")
    before = states(bench)
    pair.first.kill()
    took = wait_until(pair.second.is_leading, "the takeover", seconds=20)
    check_jobs(bench)

    report(
        "8 leader killed",
        takeover_seconds=took,
        jobs=JOBS,
        working_at_the_kill=before.count("WORKING"),
        tasks_twice=len(bench.book.twice()),
    )
    assert took < 15
    assert holder(bench).startswith("other_")


@pytest.mark.longer
def test_leader_that_is_told_to_end_hands_over_at_once(bench, pair):
    create_jobs(bench, seconds=2)
    wait_until(lambda: has_claims(bench), "the first claims")
    began = time.monotonic()
    assert pair.first.stop() == 0
    ended = time.monotonic() - began
    took = ended + wait_until(pair.second.is_leading, "the hand-over", seconds=20)
    check_jobs(bench)

    report("8 leader told to end", ended_after_seconds=ended, handed_over_after_seconds=took)
    assert took < 8


def test_leader_frozen_until_after_the_takeover_writes_nothing_when_it_wakes(bench):
    with (
        bench.api_proxy() as proxy,
        bench.nodes(),
        pair_of_operators(bench, proxy.url, "") as pair,
    ):
        create_jobs(bench, seconds=4)
        wait_until(lambda: has_claims(bench), "the first claims")
        pair.first.freeze()
        took = wait_until(pair.second.is_leading, "the takeover", seconds=20)
        wait_until(lambda: states(bench).count("DONE") >= JOBS // 3, "verdicts by the other")
        asked_before = len(proxy.calls)
        pair.first.thaw()
        woken = wait_until(pair.first.has_ended, "its end", seconds=10)
        assert pair.first.exit_code == EXIT_DEPOSED
        assert holder(bench).startswith("other_")
        check_jobs(bench)

    changes = [
        call
        for call, _ in proxy.calls[asked_before:]
        if call.method in ("POST", "PUT", "PATCH", "DELETE") and "tokenreviews" not in call.path
    ]
    report("8 leader frozen", takeover_seconds=took, ended_after_waking_seconds=woken)
    assert changes == []
    assert "stood still" in pair.first.last_lines()


@pytest.mark.longer
def test_jobs_survive_thirty_seconds_without_an_api_server(bench):
    with (
        bench.api_proxy() as proxy,
        bench.nodes(),
        pair_of_operators(bench, proxy.url, proxy.url) as pair,
    ):
        create_jobs(bench, seconds=15)
        wait_until(lambda: has_claims(bench), "the first claims")
        proxy.rule = lambda _: Act.REFUSE
        proxy.cut()
        began = time.monotonic()
        ended = wait_until(pair.first.has_ended, "the end of who cannot renew", seconds=20)
        pair.first.start()  # its kubelet does so
        time.sleep(30 - (time.monotonic() - began))
        assert not pair.second.has_ended()
        assert not pair.first.has_ended()
        proxy.rule = lambda _: Act.PASS
        back = wait_until(
            lambda: pair.first.is_leading() or pair.second.is_leading(), "a leader", seconds=30
        )
        check_jobs(bench)
        pair.first.wait_ready(leading=False)

    report("8 API server away", leader_ended_after=ended, led_again_after_seconds=back)
    assert back < 15


@pytest.mark.longer
def test_lease_deleted_or_emptied_by_an_admin_stays_its_leaders(bench, pair):
    create_jobs(bench, seconds=3)
    before = holder(bench)
    bench.api.delete(LEASE_PATH)
    wait_until(lambda: bench.api.find(LEASE_PATH) is not None, "the Lease", seconds=10)
    wait_until(lambda: holder(bench) == before, "its leader", seconds=10)
    bench.api.patch(LEASE_PATH, {"spec": {"holderIdentity": ""}})
    wait_until(lambda: holder(bench) == before, "its leader", seconds=10)
    check_jobs(bench)

    assert holder(bench) == before
    assert pair.first.is_leading()
    assert not pair.second.is_leading()


@pytest.mark.longer
@pytest.mark.parametrize("name", ["nobody-at-all", "other_0000000000"])
def test_leader_put_out_by_an_admin_ends_and_another_follows(bench, pair, name):
    create_jobs(bench, seconds=3)
    wait_until(lambda: has_claims(bench), "the first claims")
    bench.api.patch(LEASE_PATH, {"spec": {"holderIdentity": name}})
    wait_until(pair.first.has_ended, "its end", seconds=10)
    assert pair.first.exit_code == EXIT_DEPOSED
    pair.first.start()
    wait_until(lambda: pair.first.is_leading() or pair.second.is_leading(), "a leader", seconds=20)
    check_jobs(bench)

    assert not (pair.first.is_leading() and pair.second.is_leading())


@pytest.mark.longer
def test_jobs_run_when_only_a_replica_that_does_not_lead_is_asked(bench):
    with Service() as service, bench.nodes(), pair_of_operators(bench) as pair:
        service.backends = [pair.second.claims]
        # A third leads, whose Pods find only the one that stands by.
        leader = bench.operator(f"--max-workers={JOBS}", name="operator", claims_url=service.url)
        pair.first.kill()
        with leader:
            assert not pair.second.is_leading()
            create_jobs(bench, seconds=1)
            check_jobs(bench)
            assert leader.is_leading()
            assert not pair.second.is_leading()


def test_claims_and_reports_get_the_leaders_word_from_either(bench, pair):
    uid = bench.create_by_hand(bench.book.chain("job", "true", "true"))
    one = bench.pod_side(pair.first, uid)
    other = bench.pod_side(pair.second, uid)

    granted, work = other.claim(CLAIM_ID)
    assert granted == 200
    assert one.claim(CLAIM_ID) == (200, work)
    assert other.claim("d" * 32)[0] == one.claim("d" * 32)[0] == 409
    assert other.report(CLAIM_ID, 1, "RW")[0] == 200
    assert other.report("d" * 32, 2, "SS", final=True)[0] == 410
    assert other.report(CLAIM_ID, 3, "SS", final=True)[0] == 200
    status = bench.status()
    assert (status["state"], status["outcome"]) == ("DONE", "SUCCEEDED")


def test_a_replica_alone_without_a_leader_has_runners_ask_again(bench, pair):
    uid = bench.create_by_hand(bench.book.chain("job", "true", "true"))
    pod = bench.pod_side(pair.second, uid)
    pair.first.kill()

    assert pod.claim(CLAIM_ID)[0] == 503
    wait_until(pair.second.is_leading, "the takeover", seconds=20)
    assert pod.claim(CLAIM_ID)[0] == 200
