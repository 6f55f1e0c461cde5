"""Ports that are chosen by runs of the tool at one time. Real: processes and sockets."""

import subprocess
import sys
from pathlib import Path

from local_cluster import ports

TOOL = Path(ports.__file__).parents[1]
CHOOSE = """
from local_cluster import ports
ports._RANGE = range(29000, 29040)
print(*ports.choose(10), flush=True)
input()
"""


def test_runs_at_one_time_choose_no_port_twice_though_none_is_bound_yet():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CHOOSE],
            cwd=TOOL,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    chosen = [run.stdout.readline().split() for run in runs]
    for run in runs:
        run.communicate("\n")

    assert [len(each) for each in chosen] == [10, 10, 10]
    assert len({port for each in chosen for port in each}) == 30
