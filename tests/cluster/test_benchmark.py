"""The benchmark of what a job costs runs, in its smallest size, and tells every figure.

Real: everything that the benchmark measures, on a cluster that it brings up itself. Nothing here
says how large a figure may be.
"""

import io
import json
import shutil
import subprocess
import sys

import pytest

from support.cluster.clusters import ROOT, TOOL

sys.path.append(str(ROOT))
from benchmarks.measuring import Report

SIDES = "native,native-same-pod,floor-open,factotum-consul"
SAME_POD = "native Job with our Pod"
FLOOR = "floor, no schema"
OURS = "FactotumJob, Consul (other)"


def run(*words):
    """Run the benchmark; return its exit code, what it said, and its process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cluster", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    output, errors = process.communicate()
    return process.returncode, output, errors, process.pid


@pytest.fixture
def other_checkout(tmp_path):
    """A checkout whose definition of FactotumJobs differs, and whose program is this one's."""
    checkout = tmp_path / "other"
    shutil.copytree(ROOT / "charts", checkout / "charts")
    crd = checkout / "charts" / "factotum-operator" / "files" / "crds" / "factotumjobs.yaml"
    assert "QUEUED, WORKING or DONE" in crd.read_text()
    crd.write_text(crd.read_text().replace("QUEUED, WORKING or DONE", "another version's word"))
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "factotum-operator").symlink_to(f"{sys.prefix}/bin/factotum-operator")
    return checkout


@pytest.mark.cluster
@pytest.mark.consul
@pytest.mark.longer
@pytest.mark.timeout(900)
def test_a_small_benchmark_tells_all_figures_and_leaves_nothing_running(other_checkout, tmp_path):
    lines = tmp_path / "bench.jsonl"
    code, output, errors, pid = run(
        *("--jobs", "5", "--rounds", "1", "--sides", SIDES),
        *("--rate", "4", "--seconds", "1.25", "--sizes", "20", "--cases", "shared-consul"),
        *("--operator", f"other={other_checkout}", "--output", str(lines)),
    )
    assert code == 0, errors
    entries = [json.loads(line) for line in lines.read_text().splitlines()]
    figures = {}
    for entry in entries:
        figures.setdefault(entry["name"], {})[entry["side"], entry.get("column")] = entry["value"]

    rates = figures["cluster: jobs a minute, 5 at once"]
    assert rates.keys() == {(side, None) for side in ("native Job", SAME_POD, FLOOR, OURS)}
    assert all(value > 0 for value in rates.values())
    costs = figures["cluster: processor time a job by process"]
    by_process = {column for side, column in costs if side == OURS}
    assert {"apiserver", "etcd", "manager", "scheduler", "operator", "consul"} < by_process
    assert costs[OURS, "operator"] > 0
    assert costs[OURS, "VmHWM"] > 20
    assert costs[OURS, "untold"] == 0
    requests = figures["cluster: requests a job by client"]
    assert requests[OURS, "operator"] >= 3  # its Pod, and two of its status
    assert requests[OURS, "test node"] == requests["native Job", "test node"] == 2
    assert requests["native Job", "job-controller"] > 1
    assert requests[SAME_POD, "job-controller"] > 1
    assert requests[FLOOR, "operator"] == 4  # the same writes, and the Event
    latencies = figures["cluster: latency at 4 jobs a second"]
    ours = "FactotumJob (other)"
    assert 0 < latencies[ours, "to Pod p50"] < latencies[ours, "to end p50"]
    assert 0 < latencies[ours, "told to end p50"] < latencies[ours, "to end p50"]
    growth = figures["cluster: growth, operator alone"]
    row = "20 at rest, one id, Consul (other)"
    assert all(growth[row, column] > 0 for column in ("ready", "RSS", "cost", "rate", "stall"))

    assert OURS in output
    left = subprocess.run([TOOL, "status"], capture_output=True, text=True, check=True).stdout
    assert f"bench-{pid}" not in left


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sides", "factotum,argo"), "'argo' is none of"),
        (("--operator", "before=/nowhere"), "/nowhere has no .venv with the operator"),
    ],
    ids=["side", "operator"],
)
def test_what_cannot_be_measured_is_refused_before_a_cluster_comes_up(words, told):
    code, _, errors, _ = run(*words)
    assert code == 2
    assert told in errors


def test_a_table_shows_the_median_of_the_rounds_own_ratios_to_its_base():
    table, lines = io.StringIO(), io.StringIO()
    runs = {"ours": [10.0, 30.0, 20.0], "base": [40.0, 30.0, 100.0]}
    Report(table, lines).show("rate", {"ours": 20.0, "base": 40.0}, "a minute", runs=runs)
    ours = {"name": "rate", "side": "ours", "value": 20.0, "unit": "a minute"}
    base = {"name": "rate", "side": "base", "value": 40.0, "unit": "a minute"}
    assert [json.loads(line) for line in lines.getvalue().splitlines()] == [
        ours | {"ratio": 0.25, "runs": runs["ours"]},
        base | {"runs": runs["base"]},
    ]
    assert "x 0.25  (10.00 to 30.00)" in table.getvalue()
