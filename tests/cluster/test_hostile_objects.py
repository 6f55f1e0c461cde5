"""What somebody with rights of his own puts in the operator's way: objects, questions, readers.

Real: the API server with our chart, the operator's process with its deaths, the Lease, figures by
HTTP; a proxy on the way to the API server refuses what the test says.
"""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.operator_process import ADMISSION_PATH, LEASE, RELEASE
from support.cluster.scraping import Scraper, page
from support.http.proxies import Act, Proxy

pytestmark = pytest.mark.cluster

CLAIM = "c" * 32
LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}".format(*LEASE.split("/"))
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" + RELEASE
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname = False
ANYBODY.verify_mode = ssl.CERT_NONE


def memory(operator):
    """Return the most that it has ever had, in MiB."""
    text = Path(f"/proc/{operator.pid}/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def runs_a_job(bench, operator, name):
    """Be the runner of a job from its claim to its verdict; return how long that took."""
    pod = bench.pod_side(operator, bench.create_by_hand(make_factfile(make_task(name)), name=name))
    began = time.monotonic()
    assert pod.claim(CLAIM)[0] == 200
    assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
    return time.monotonic() - began


def test_factfiles_that_are_made_to_fill_its_memory_end_as_any_bad_one(bench):
    shapeless = make_factfile() | {"data": {"name": "x", "tasks": [{}] * 300_000}}
    text = json.dumps(shapeless, separators=(",", ":"))
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    bench.api.create(path, {"metadata": {"name": "bomb"}, "data": {"k": text}})
    filled = make_factfile(make_task("a", arguments=["{{a}}" * 20_000]))
    with bench.operator() as operator:
        reference = {"configMapKeyRef": {"name": "bomb", "key": "k"}}
        bench.api.create_job(make_job(bench.namespace, name="one", factfileFrom=reference))
        bench.create(filled, name="two", env={"a": "x" * 32_768})
        ends = [bench.done(name) for name in ("one", "two")]
        runs_a_job(bench, operator, "three")
        most = memory(operator)

    assert [end["reason"] for end in ends] == ["InvalidFactfile"] * 2
    assert "'/data/tasks/0/name' - This property is required" in ends[0]["message"]
    assert "fill in more than" in ends[1]["message"]
    # The chart's limit is 512 Mi.
    assert most < 300


def question(factfile):
    request = {"uid": "u", "kind": {"kind": "FactotumJob"}, "object": make_job("x", factfile)}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review, separators=(",", ":")).encode()


def ask(operator, body):
    """Ask at the admission port as anybody can who reaches it."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", operator.admission, timeout=60, context=ANYBODY
    )
    try:
        connection.request("POST", ADMISSION_PATH, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


@pytest.mark.longer
def test_a_crowd_of_strangers_with_hostile_questions_holds_up_no_claim(bench):
    shape = {"schema": make_factfile()["schema"], "data": {"name": "x"}}
    bodies = [
        question(shape | {"data": {"name": "x", "tasks": [{}] * number}})
        for number in (5_000, 30_000, 300_000)
    ]
    deep = b'{"apiVersion":' + b"[" * 100_000
    with (
        bench.operator("--max-workers=500") as operator,
        concurrent.futures.ThreadPoolExecutor(24) as strangers,
    ):
        until = time.monotonic() + 10
        enough = threading.Event()

        def stranger(number):
            told = set()
            while not enough.is_set():
                told.add(ask(operator, (*bodies, deep)[number % 4]))
            return told

        asking = [strangers.submit(stranger, number) for number in range(24)]
        slowest = 0.0
        number = 0
        try:
            while time.monotonic() < until or number < 5:
                slowest = max(slowest, runs_a_job(bench, operator, f"job-{number}"))
                number += 1
        finally:
            enough.set()
        told = set().union(*(each.result() for each in asking))
        assert page(operator.health, "/healthz")[0] == 200
        most = memory(operator)
        log = operator.log.read_text()
        leads = operator.is_leading()

    assert told <= {0, 200, 400, 503}
    assert leads
    assert slowest < 5
    assert most < 400
    assert "Traceback" not in log


ODD_LEASES = {
    "for ever": {"spec": {"leaseDurationSeconds": 2**31 - 1}},
    "renewed in a hundred years": {"spec": {"renewTime": "2126-01-01T00:00:00.000000Z"}},
    "the other way round": {"spec": {"acquireTime": "1970-01-01T00:00:00.000000Z"}},
    "transitions": {"spec": {"leaseTransitions": 2**31 - 1}},
    "an address": {
        "metadata": {"annotations": {"factotum.snowplowanalytics.com/claims-address": "x/y?@z:0"}}
    },
    "no annotations": {"metadata": {"annotations": None}},
    "nothing": {"spec": None},
}


@pytest.mark.longer
def test_a_lease_edited_by_hand_in_any_field_but_its_holder_disturbs_nobody(bench):
    with bench.operator() as operator:
        told = {}
        for kind, change in ODD_LEASES.items():
            bench.api.patch(LEASE_PATH, change)
            time.sleep(3)
            told[kind] = operator.is_leading()
            runs_a_job(bench, operator, f"job-{len(told)}")
        holder = bench.api.get(LEASE_PATH)["spec"]["holderIdentity"]
        log = operator.log.read_text()
        assert operator.starts == 1

    assert told == dict.fromkeys(ODD_LEASES, True)
    assert holder.startswith("operator_")
    assert "Traceback" not in log


def test_one_killed_after_it_made_certificates_and_before_it_told_of_them_goes_on_there(bench):
    secret = f"/api/v1/namespaces/{LEASE.split('/')[0]}/secrets/{RELEASE}-tls"
    raw = bench.api.get(WEBHOOK)
    raw["webhooks"][0]["clientConfig"].pop("caBundle", None)
    bench.api.request("PUT", WEBHOOK, raw)
    if bench.api.find(secret) is not None:
        bench.api.delete(secret)
    host, port = bench.api.server.removeprefix("https://").split(":")
    with Proxy(host, int(port), tls=bench.api.tls_without_identity()) as proxy:
        proxy.rule = lambda call: (
            Act.REFUSE if (call.method, call.path) == ("PUT", WEBHOOK) else Act.PASS
        )
        killed = bench.operator(server=proxy.url)
        killed.start()
        made = bench.api.wait_for(secret, lambda _: True, "made")
        deadline = time.monotonic() + 30
        while not proxy.seen(Act.REFUSE):
            assert time.monotonic() < deadline, "it tells nobody"
            time.sleep(0.02)
        killed.kill()
    assert "caBundle" not in bench.api.get(WEBHOOK)["webhooks"][0]["clientConfig"]

    with bench.operator():
        found = bench.api.wait_for(
            WEBHOOK, lambda raw: "caBundle" in raw["webhooks"][0]["clientConfig"], "told"
        )
    assert found["webhooks"][0]["clientConfig"]["caBundle"] == made["data"]["ca.crt"]
    assert bench.api.get(secret)["data"] == made["data"]


def hang_up(address, words, *, after):
    """Ask, read a little and reset the line."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(words)
        if after:
            line.recv(after)


def test_readers_of_figures_that_go_away_in_the_middle_do_no_harm(bench):
    with bench.operator() as operator:
        before = len(operator.log.read_text())
        words = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        for number in range(300):
            hang_up(operator.metrics, words, after=number % 3 * 100)
        slow = [socket.create_connection(operator.metrics) for _ in range(40)]
        for line in slow:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            line.sendall(words * 50)
        scraper = Scraper(operator)
        assert scraper.value("leader") == 1
        runs_a_job(bench, operator, "job")
        for line in slow:
            line.close()
        assert scraper.value("leader") == 1
        assert page(operator.health, "/healthz")[0] == 200
        said = operator.log.read_text()[before:]

    assert "Traceback" not in said
    assert "metrics" not in said
