"""`kubectl apply` of jobs that cannot run: what a user is told at once, and what holds nobody up.

Real: the API server, the chart's webhook and rights, the operator's process, kubectl.
"""

import http.client
import json
import ssl
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.clusters import Refused
from support.cluster.kube_api import jobs_path
from support.cluster.operator_process import RELEASE

pytestmark = pytest.mark.cluster

WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" + RELEASE
TASKS = "spec.factfile.data.tasks"
BROKEN = make_factfile(
    make_task("a", "nobody"),
    make_task("b", arguments=["{{#open}}"]),
    make_task("c", onResult={"terminateJobWithSuccess": [3], "continueJob": [0, 3]}),
)


def apply(bench, manifest, *words):
    """Apply as a user does; return whether it passed, and what was said."""
    path = bench.folder / "job.json"
    path.write_text(json.dumps(manifest))
    try:
        return True, bench.installation.cluster.kubectl("apply", "-f", str(path), *words)
    except Refused as refused:
        return False, str(refused)


@pytest.fixture
def asked(bench):
    """An operator that the API server asks, and knows."""
    with bench.operator() as operator:
        operator.be_asked()
        wait_until_asked(bench)
        yield operator


def wait_until_asked(bench):
    """A changed configuration is obeyed a moment later."""
    deadline = time.monotonic() + 30
    probe = make_job(bench.namespace, BROKEN, name="probe")
    while apply(bench, probe, "--dry-run=server")[0]:
        assert time.monotonic() < deadline, "nobody asks the operator"
        time.sleep(0.2)


def test_apply_answers_with_every_violation_and_its_path(bench, asked):
    passed, said = apply(bench, make_job(bench.namespace, BROKEN, start="nowhere"))

    assert not passed
    for words in (
        "denied the request: spec.factfile: 'job' is not a valid factotum factfile: ",
        f"{TASKS}[0].dependsOn[0]: the task 'a' depends on 'nobody'",
        f"{TASKS}[1].arguments[0]: ",
        f"{TASKS}[2].onResult: the task has conflicting actions: 3 is in both lists",
        "spec.start: The job cannot be started from 'nowhere'",
    ):
        assert words in said
    assert bench.api.get(jobs_path(bench.namespace))["items"] == []


def test_a_dry_run_is_judged_as_the_real_one_and_leaves_nothing(bench, asked):
    assert not apply(bench, make_job(bench.namespace, BROKEN), "--dry-run=server")[0]
    assert apply(bench, make_job(bench.namespace), "--dry-run=server")[0]
    assert bench.api.get(jobs_path(bench.namespace))["items"] == []


def test_what_surprises_is_told_and_the_job_is_taken(bench, asked):
    factfile = make_factfile(make_task("a", executor="python", command="echo {{x}}"))
    manifest = make_job(bench.namespace, factfile, env={"API_TOKEN": "abc123"})
    body = json.dumps(manifest).encode()
    status, warnings = raw_create(bench, body)

    assert status == 201
    text = " ".join(warnings)
    for words in ("executor: 'python'", "command: it looks like a template", "API_TOKEN looks"):
        assert words in text
    assert "abc123" not in text


def raw_create(bench, body):
    """Create by a plain request and return the status and the warnings' headers."""
    connection = bench.api.connect()
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", jobs_path(bench.namespace), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get_all("Warning") or []
    finally:
        connection.close()


def test_with_a_dead_operator_jobs_are_stored_all_the_same_and_judged_later(bench, asked):
    asked.kill()
    began = time.monotonic()
    passed, said = apply(bench, make_job(bench.namespace, BROKEN))
    seconds = time.monotonic() - began
    assert passed, said
    assert seconds < 10

    asked.start()
    asked.wait_ready()
    status = bench.done()
    assert (status["outcome"], status["reason"]) == ("FAILED", "InvalidFactfile")


def test_with_a_frozen_operator_a_job_waits_for_seconds_and_is_stored(bench, asked):
    asked.freeze()
    try:
        began = time.monotonic()
        passed, said = apply(bench, make_job(bench.namespace, BROKEN))
        seconds = time.monotonic() - began
    finally:
        asked.thaw()

    assert passed, said
    assert seconds < 10


def test_a_job_that_came_in_unseen_can_be_labelled_and_deleted(bench, asked):
    asked.kill()
    assert apply(bench, make_job(bench.namespace, BROKEN))[0]
    asked.start()
    asked.wait_ready()
    bench.done()
    kubectl = bench.installation.cluster.kubectl

    kubectl("label", "factotumjob", "job", "a=b", "--namespace", bench.namespace)
    kubectl("delete", "factotumjob", "job", "--namespace", bench.namespace)
    assert bench.api.get(jobs_path(bench.namespace))["items"] == []


def test_an_authority_that_somebody_took_out_comes_back(bench, asked):
    raw = bench.api.get(WEBHOOK)
    good = raw["webhooks"][0]["clientConfig"].pop("caBundle")
    asked.kill()
    bench.api.request("PUT", WEBHOOK, raw)
    asked.start()
    asked.wait_ready()

    restored = bench.api.wait_for(
        WEBHOOK, lambda each: "caBundle" in each["webhooks"][0]["clientConfig"], "told"
    )
    assert restored["webhooks"][0]["clientConfig"]["caBundle"] == good
    wait_until_asked(bench)


def test_the_ports_show_the_same_certificate_and_are_trusted_by_what_is_public(bench, asked):
    trusted = bench.installation.certificates().trusted
    context = ssl.create_default_context(cadata=trusted)
    shown = set()
    for port in (asked.claims[1], asked.admission):
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        connection.connect()
        shown.add(connection.sock.getpeercert(binary_form=True))
        connection.close()

    assert len(shown) == 1
