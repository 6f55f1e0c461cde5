"""What Helm makes of a job in a chart that it waits for: kstatus itself, not our rendition of it.

Real: Helm, whose `--wait` goes by kstatus; the API server with our chart, the operator's process, a
test node with the real runner.
"""

import json
import time

import pytest

from support.builders.manifests import make_job
from support.cluster.clusters import Refused

pytestmark = pytest.mark.cluster


def install(bench, factfile=None, *, seconds=30, **spec):
    """Install a chart of one job and wait for it; return the seconds until Helm was content."""
    folder = bench.folder / "chart"
    (folder / "templates").mkdir(parents=True)
    chart = {"apiVersion": "v2", "name": "etl", "version": "1.0.0"}
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    job = make_job(bench.namespace, factfile, constraints={"host": "fake-1"}, **spec)
    (folder / "templates" / "job.json").write_text(json.dumps(job))
    began = time.monotonic()
    words = (
        "install",
        "etl",
        str(folder),
        "-n",
        bench.namespace,
        "--wait",
        f"--timeout={seconds}s",
    )
    bench.installation.cluster.run("helm", *words)
    return time.monotonic() - began


def test_helm_waits_for_the_end_of_a_job_that_goes_well(bench):
    with bench.nodes(), bench.operator():
        took = install(bench, bench.book.chain("job", "sleep 2"))

    assert bench.status()["reason"] == "Succeeded"
    assert 2 <= took < 30


def test_helm_is_content_with_a_job_that_is_suspended(bench):
    with bench.nodes(), bench.operator():
        install(bench, desiredState="Suspend")

    assert bench.status()["reason"] == "Suspended"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        pytest.param({"start": "nowhere"}, "Failed", id="failed"),
        pytest.param(
            {"factfileFrom": {"configMapKeyRef": {"name": "absent", "key": "f"}}},
            "InProgress",
            id="waiting",
        ),
    ],
)
def test_helm_is_not_content_with_a_job_that_has(bench, spec, word):
    with bench.nodes(), bench.operator(), pytest.raises(Refused) as refused:
        install(bench, seconds=5, **spec)

    assert f"FactotumJob/{bench.namespace}/job not ready. status: {word}" in str(refused.value)
