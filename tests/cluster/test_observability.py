"""What a running operator tells of itself: figures, log, Events and health.

Real: the API server with our chart, the operator's process and its ports, Consul, a test node with
the real runner. Figures are asked for by HTTP and read with Prometheus' own parser.
"""

import json
import platform
import re
import time

import pytest

from factotum import __version__
from support.builders.manifests import make_factfile, make_task
from support.cluster.scraping import Scraper, page
from support.cluster.workbench import PLAYED
from support.consul.process import ConsulProcess
from support.http.proxies import Act

pytestmark = [pytest.mark.cluster, pytest.mark.consul]

CLAIM = "d" * 32
MISSING = {"configMapKeyRef": {"name": "missing", "key": "x"}}


def events(bench, name):
    found = bench.api.items(f"/api/v1/namespaces/{bench.namespace}/events")
    return [event for event in found if event["involvedObject"]["name"] == name]


def chain(seconds):
    return make_factfile(make_task(command="sleep", arguments=[str(seconds)]))


@pytest.fixture
def consul(tmp_path):
    with ConsulProcess.fresh(tmp_path / "consul") as process:
        yield process


def some_jobs_wait_run_and_end(bench, figures):
    bench.create(chain(3), name="first")
    bench.api.wait_state(bench.namespace, "first", "WORKING")
    bench.create(make_factfile(make_task(command="false")), name="second")
    bench.api.wait_state(bench.namespace, "second", "QUEUED", reason="WaitingForWorker")
    assert figures.wait("jobs_waiting", "WaitingForWorker") == 1
    assert figures.value("jobs", "WORKING", "RUNNING") == 1
    assert figures.value("workers_busy") == figures.value("workers_queue_length") == 1
    for name in ("first", "second"):
        bench.done(name)
    figures.wait("jobs_finished_total", "FAILED", "TaskFailed")
    assert figures.value("jobs_waiting", "WaitingForWorker") == 0
    bench.create(factfileFrom=MISSING, name="missing")
    figures.wait("jobs_waiting", "FactfileNotFound")
    figures.wait("events_total", "created", until=lambda count: count == 3)


def a_runner_asks_in_every_way_while_consul_hangs(bench, operator, consul, figures):
    connection = operator.connection(seconds=10)
    connection.request("GET", "/v1/claims/x/1/1")
    assert connection.getresponse().status == 405
    connection.close()
    uid = bench.create_by_hand(name="by-hand")
    pod = bench.pod_side(operator, uid)
    assert pod.post(f"/v1/claims/{uid}/1/1", b"{}", token="nobody")[0] == 401
    assert pod.claim(CLAIM)[0] == 200
    assert pod.claim("e" * 32)[0] == 409
    consul.freeze()
    assert pod.report(CLAIM, 1, "S", final=True)[0] == 200
    figures.wait("mirror_reachable", until=lambda is_reachable: not is_reachable)
    assert figures.wait("mirror_lag_seconds") > 0
    assert figures.value("mirror_pending") >= 1
    assert figures.wait("consul_requests_total", "probe", "unreachable") >= 1
    consul.thaw()
    figures.wait("mirror_reachable")
    figures.wait("mirror_lag_seconds", until=lambda seconds: not seconds)


EXACTLY = {
    ("jobs", "DONE", "SUCCEEDED"): 2,
    ("jobs", "DONE", "FAILED"): 1,
    ("jobs", "QUEUED", "WAITING"): 1,
    ("jobs_finished_total", "SUCCEEDED", "Succeeded"): 2,
    ("job_pod_seconds_count",): 3,
    ("job_claim_seconds_count",): 3,
    ("job_run_seconds_count", "FAILED"): 1,
    ("claims_requests_total", "claim", "200"): 3,
    ("claims_requests_total", "claim", "401"): 1,
    ("claims_requests_total", "claim", "409"): 1,
    ("claims_requests_total", "claim", "405"): 1,
    ("api_requests_total", "create", "pods", "201"): 3,
    ("api_request_seconds_count", "list", "nodes"): 2,  # again before it leads
    ("leader",): 1,
    ("build_info", __version__, platform.python_version()): 1,
    ("workers_limit",): 1,
}
AT_LEAST = {
    ("job_queue_seconds_sum",): 0.5,
    ("job_run_seconds_sum", "SUCCEEDED"): 3,
    ("reconcile_seconds_count",): 10,
    ("claims_requests_total", "report", "200"): 3,
    ("claims_request_seconds_count", "report"): 3,
    ("claims_connections_limit",): 100,
    ("api_requests_total", "patch", "factotumjobs/status", "200"): 7,
    ("api_requests_total", "get", "configmaps", "404"): 1,
    ("consul_requests_total", "put", "ok"): 3,
    ("consul_request_seconds_count", "probe"): 1,
}


def test_each_figure_moves_by_what_happens(bench, consul):
    flags = (f"--consul-address={consul.address}", "--max-workers=1")
    with bench.nodes(), bench.operator(*flags) as operator:
        figures = Scraper(operator)
        first = figures.all()
        some_jobs_wait_run_and_end(bench, figures)
        a_runner_asks_in_every_way_while_consul_hangs(bench, operator, consul, figures)
        last = figures.all()

    told = {
        labels: last.get((f"factotum_{labels[0]}", tuple(sorted(labels[1:]))), 0)
        for labels in EXACTLY | AT_LEAST
    }
    assert {labels: told[labels] for labels in EXACTLY} == EXACTLY
    assert {labels: value for labels, value in AT_LEAST.items() if told[labels] < value} == {}
    assert last["process_resident_memory_bytes", ()] > 1e7
    assert last["process_cpu_seconds_total", ()] > first["process_cpu_seconds_total", ()]


def test_nothing_that_the_figures_tell_is_a_name_or_an_id(bench):
    with bench.nodes(), bench.operator() as operator:
        uid = bench.create(name="a-name-of-somebodys")
        status = bench.done("a-name-of-somebodys")
        told = page(operator.metrics, "/metrics")[1]

    for word in (uid, "somebodys", bench.namespace, status["jobId"], PLAYED[0]):
        assert word not in told


def test_looks_that_fail_are_counted_and_the_operator_stays_well(bench):
    with bench.api_proxy() as proxy, bench.nodes():
        with bench.operator(server=proxy.url) as operator:
            figures = Scraper(operator)
            proxy.rule = lambda call: Act.REFUSE if call.method in ("POST", "PATCH") else Act.PASS
            bench.create()
            figures.wait("reconcile_errors_total", "api")
            figures.wait("api_requests_total", "create", "pods", "none")
            health = [page(operator.health, path) for path in ("/healthz", "/readyz")]
            proxy.rule = lambda _: Act.PASS
            assert bench.done()["outcome"] == "SUCCEEDED"
        text = operator.log.read_text()

    assert health == [(200, "ok\n")] * 2
    line = next(line for line in text.splitlines() if "again in" in line)
    assert f"job {bench.namespace}/job: attempt 1: PATCH " in line


def test_a_port_that_is_asked_before_the_start_says_what_is_missing(bench):
    with bench.api_proxy() as proxy:
        proxy.rule = lambda _: Act.REFUSE
        operator = bench.operator(server=proxy.url)
        operator.start()
        deadline = time.monotonic() + 30
        while True:
            try:
                health = [page(operator.health, path) for path in ("/healthz", "/readyz")]
                break
            except OSError:
                assert time.monotonic() < deadline, operator.last_lines()
                time.sleep(0.1)
        proxy.rule = lambda _: Act.PASS
        operator.wait_ready()
        ready = page(operator.health, "/readyz")
        operator.kill()

    assert health == [(200, "ok\n"), (503, "starting: not every list was read yet\n")]
    assert ready == (200, "ok\n")


def test_a_job_that_goes_well_has_one_event_and_one_that_is_stuck_has_one_a_reason(bench):
    with bench.nodes(), bench.operator():
        bench.create(chain(1), name="well")
        bench.create(factfileFrom=MISSING, name="stuck")
        bench.done("well")
        deadline = time.monotonic() + 40
        while not events(bench, "stuck"):
            assert time.monotonic() < deadline, "no Event tells of the wait"
            time.sleep(0.5)
        time.sleep(6)  # it is looked at every five seconds
        stuck, well = events(bench, "stuck"), events(bench, "well")

    assert [(e["type"], e["reason"], e["count"]) for e in well] == [("Normal", "Succeeded", 1)]
    assert [(e["type"], e["reason"], e["count"]) for e in stuck] == [
        ("Warning", "FactfileNotFound", 1)
    ]
    assert "there is no ConfigMap missing" in stuck[0]["message"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_step_of_a_job_is_one_line_that_nobody_can_forge(bench, form):
    forged = "x\n[2026-01-01 00:00:00,000] a [INFO    ] job a/b: attempt 1: DONE\r\x1b[2J"
    task = make_task(name=forged, command="false")
    with bench.nodes(), bench.operator(f"--log-format={form}") as operator:
        bench.create(make_factfile(task))
        bench.done()
        time.sleep(0.5)
        text = operator.log.read_text()

    lines = [line for line in text.split("\n") if line]
    if form == "json":
        entries = [json.loads(line) for line in lines]
        steps = [e for e in entries if e.get("job") == "job"]
        assert {(e["namespace"], e["attempt"]) for e in steps} == {(bench.namespace, 1)}
        messages = [e["message"] for e in steps]
    else:
        shape = re.compile(r"\[.{23}\] \S+ +\[\w+ *\] (.*)")
        matches = [shape.fullmatch(line) for line in lines]
        assert all(matches), lines
        messages = [m[1] for m in matches if m[1].startswith(f"job {bench.namespace}/job: ")]
    heads = [m.removeprefix(f"job {bench.namespace}/job: attempt 1: ") for m in messages]
    assert [head.split(" ")[0] for head in heads] == ["WORKING", "DONE"]
    assert "\\n[2026-01-01" in heads[1]
    assert all(line.isprintable() for line in lines)


def test_a_job_server_is_told_whether_it_may_hand_in_more(bench):
    def answer(operator):
        return page(operator.health, "/submissions")

    with bench.operator("--max-workers=1", "--max-jobs=1") as operator:
        assert answer(operator) == (200, "ok\n")
        for name in ("first", "second"):
            bench.create_by_hand(name=name, duplicatePolicy="Allow")
        bench.api.wait_state(bench.namespace, "second", "QUEUED", reason="WaitingForWorker")
        assert answer(operator) == (503, "the queue is full, as 1 jobs wait\n")
        standby = bench.operator("--max-jobs=1", name="standby")
        standby.start()
        standby.wait_ready(leading=False)
        told = answer(standby)
        standby.stop()
        operator.stop()
    assert told == (503, "this replica does not lead\n")
    with bench.operator("--drain") as operator:
        assert answer(operator) == (503, "the operator drains\n")
