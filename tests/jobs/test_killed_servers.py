"""A server that is killed again and again loses no job, runs none twice, and keeps their order.

Real: the server as a process, SIGKILL, SQLite, its runners and their shells. The same
with 1,000 jobs is in tests/acceptance.
"""

from support.disks import small_disk
from support.server.killing import killed_while_working


def test_no_job_is_lost_or_run_twice(zygote, tmp_path):
    ran = killed_while_working(zygote, tmp_path, jobs=40, workers=4, kills=4)

    assert sorted(ran) == list(range(40))


def test_no_job_is_lost_or_run_twice_where_the_disk_gets_full(zygote, tmp_path):
    with small_disk(tmp_path / "disk", 8 * 1024 * 1024) as disk:
        ran = killed_while_working(zygote, tmp_path, jobs=40, workers=4, kills=3, disk=disk)

    assert sorted(ran) == list(range(40))


def test_one_worker_keeps_the_order(zygote, tmp_path):
    ran = killed_while_working(zygote, tmp_path, jobs=15, workers=1, kills=3)

    assert ran == list(range(15))
