"""What a job stands on goes: its namespace, or the definition of its kind.

Real: the API server with our chart, its namespace controller and garbage collector, the operator's
process, a test node with the real runner. Requests are counted in the API server's audit log.
"""

import time

import pytest

from support.cluster.audit import Audit
from support.cluster.clusters import CRD, ROOT
from support.cluster.kube_api import GROUP, ApiRefusedError

pytestmark = pytest.mark.cluster

DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD}"


def test_a_namespace_that_goes_takes_its_jobs_and_gives_their_workers_back(bench):
    doomed = f"{bench.namespace[:50]}-doomed"
    bench.api.create("/api/v1/namespaces", {"metadata": {"name": doomed}})
    account = f"/api/v1/namespaces/{doomed}/serviceaccounts/default"
    bench.api.wait_for(account, lambda _: True, "there")
    flags = (f"--namespace={doomed}", "--max-workers=1")
    with bench.nodes(), bench.operator(*flags) as operator:
        mine, bench.namespace = bench.namespace, doomed
        bench.create(bench.book.chain("runs", "sleep 60"), name="runs")
        bench.api.wait_state(doomed, "runs", "WORKING")
        bench.create(bench.book.chain("waits", "true"), name="waits")
        bench.namespace = mine
        audit = Audit(bench.installation)
        bench.api.delete(f"/api/v1/namespaces/{doomed}")
        bench.create(bench.book.chain("next", "true"), name="next")
        status = bench.done("next", seconds=90)
        wait_gone(bench, f"/api/v1/namespaces/{doomed}")
        asked = [r for r in audit.requests() if f"/namespaces/{doomed}/" in r.path]
        assert operator.is_ready()

    assert status["outcome"] == "SUCCEEDED"
    assert ("waits", "t1") not in bench.book.counts()
    assert len([r for r in asked if r.verb != "watch"]) < 60, asked
    assert "Traceback" not in operator.log.read_text()


def test_a_definition_that_goes_and_comes_again_is_lived_through(bench):
    crd = str(ROOT / "crds" / "factotumjobs.yaml")
    cluster = bench.installation.cluster
    with bench.nodes(), bench.operator("--max-workers=1") as operator:
        bench.create(bench.book.chain("runs", "sleep 60"), name="runs")
        bench.api.wait_state(bench.namespace, "runs", "WORKING")
        bench.api.delete(DEFINITION)
        try:
            wait_gone(bench, DEFINITION)
            audit = Audit(bench.installation)
            time.sleep(10)
            asked = list(audit.requests())
            lines = operator.log.read_text().count("\n")
            has_ended = operator.has_ended()
        finally:
            cluster.kubectl("apply", "--server-side", "-f", crd)
            cluster.established(f"crd/{CRD}")
        began = time.monotonic()
        create_once_served(bench, "next")
        status = bench.done("next", seconds=60)
        took = time.monotonic() - began
        is_ready = operator.is_ready()

    assert not has_ended
    assert len(asked) < 40, asked
    assert lines < 200
    assert (status["outcome"], is_ready) == ("SUCCEEDED", True)
    assert took < 45, took


def create_once_served(bench, name):
    """Create a job as soon as its kind is served: 404, then 429 while its storage is made."""
    deadline = time.monotonic() + 30
    while True:
        try:
            bench.create(bench.book.chain(name, "true"), name=name)
        except ApiRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def wait_gone(bench, path, seconds=180.0):
    deadline = time.monotonic() + seconds
    while bench.api.find(path) is not None:
        assert time.monotonic() < deadline, f"{path} does not go; left: {left(bench)}"
        time.sleep(0.2)


def left(bench):
    """Name the jobs of the whole cluster, and what holds each."""
    jobs = bench.api.items(f"{GROUP}/factotumjobs")
    return {
        "{namespace}/{name}".format(**job["metadata"]): job["metadata"].get("finalizers")
        for job in jobs
    }
