"""What tests that were killed left behind goes before the next ones begin.

Real: the cluster tool on a state folder of the test's own, and process ids.
"""

import os
import subprocess

from support.cluster import clusters


def id_of_an_ended_process():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_clusters_whose_tests_are_gone_are_taken_down_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "factotum-operator" / "clusters"
    ours, theirs = f"test-api-{os.getpid()}", f"factotum-{id_of_an_ended_process()}"
    left = f"test-node-{id_of_an_ended_process()}"
    for name in (ours, theirs, left):
        (folder / name).mkdir(parents=True)

    clusters.remove_abandoned()

    assert sorted(path.name for path in folder.iterdir()) == sorted([ours, theirs])
