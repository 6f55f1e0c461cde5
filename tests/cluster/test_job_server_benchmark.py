"""The benchmark of the job server runs, in its smallest size, and tells every figure.

Real: everything that it measures, the servers and a cluster that it brings up itself. Nothing
here says how large a figure may be.
"""

import json
import subprocess
import sys

import pytest

from support.cluster.clusters import ROOT

WAITS = {"p50", "p95", "p99"}


@pytest.mark.cluster
@pytest.mark.consul
@pytest.mark.longer
@pytest.mark.timeout(600)
def test_a_small_benchmark_of_the_job_server_tells_all_figures(tmp_path):
    lines = tmp_path / "bench.jsonl"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.job_server"),
            *("--jobs", "8", "--rounds", "2", "--seconds", "0.3", "--sizes", "8,16"),
            *("--sides", "ours,alone,share,naive", "--output", str(lines)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for line in lines.read_text().splitlines():
        entry = json.loads(line)
        rows = figures.setdefault(entry["name"], {})
        rows.setdefault(entry["side"], {})[entry.get("column", "")] = entry["value"]

    ours, naive = "factotum server", "naive"
    with_consul = {f"{ours}, Consul, --boxes={boxes}" for boxes in ("alone", "share")}
    for who in ("1 client", "16 clients", "256 clients"):
        submissions = figures[f"job server: submissions, {who}"]
        look_ups = figures[f"job server: look-ups, {who}"]
        for rows in (submissions, look_ups):
            assert with_consul | {ours, naive} <= rows.keys()
            for row in (rows[ours], rows[naive]):
                assert row.keys() == {"rate", "ratio", "CPU"} | WAITS
                assert row["rate"] > 0
                assert row["p50"] <= row["p95"] <= row["p99"]
            assert rows[naive]["ratio"] == 1.0
        rows = figures[f"job server on a cluster: submissions, {who}"]
        assert len(rows) == 3
        assert rows["created at the API server"]["ratio"] == 1.0
        assert all(row["rate"] > 0 for row in rows.values())
    recorded = "original, on such a machine"
    assert figures["job server: submissions, 16 clients"][recorded]["rate"] == 65.0
    rates = figures["job server: one-task jobs a second, 20 workers"]
    assert rates.keys() == with_consul | {ours, naive, recorded}
    growth = figures["job server: growth"]
    assert growth.keys() == {"8 jobs at rest", "16 jobs at rest"}
    for row in growth.values():
        assert all(row[each] > 0 for each in ("RSS", "all", "data", "jobs", "look-ups"))
        assert row["next start"] > 0
