"""1,000 jobs through 20 workers while the server is SIGKILLed ten times and its disk is full once.

Real: the server as a process, SIGKILL, SQLite, the small disk, its runners and their shells.
"""

import time

import pytest

from support.cluster.acceptance import report
from support.disks import small_disk
from support.server.forking import Zygote
from support.server.killing import killed_while_working

_DISK_BYTES = 64 * 1024 * 1024


@pytest.mark.acceptance
def test_a_thousand_jobs_while_the_server_is_killed_ten_times(tmp_path):
    began = time.monotonic()
    with Zygote() as zygote, small_disk(tmp_path / "disk", _DISK_BYTES) as disk:
        ran = killed_while_working(
            zygote, tmp_path, jobs=1000, workers=20, kills=10, pauses=(0.3, 4.0), disk=disk
        )
    seconds = time.monotonic() - began

    assert sorted(ran) == list(range(1000))
    furthest = max(abs(place - number) for place, number in enumerate(ran))
    report(
        "10 server killed",
        jobs=1000,
        kills=10,
        full_disks=1,
        seconds=seconds,
        out_of_place=furthest,
    )
    # Those that run at one moment may overtake each other, and no others.
    assert furthest <= 40
