"""Machines that have no process or thread to give, whose clock is set, or whose files are odd.

Real: the backend, its runners as processes. Between it and what starts them stands somebody who
says that it cannot. Needs root, for a small disk.
"""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time

from factotum.jobs.local import backend
from factotum.jobs.local.entries import OwnEntries
from factotum.jobs.local.running import course, crew
from factotum.jobs.local.running.folders import Folders
from factotum.jobs.local.settings import DAY_MS
from factotum.jobs.service import JobService
from factotum.jobs.views import JobQuery
from support.disks import small_disk
from support.server.backends import PREFIX, asking, ended, local
from support.server.running import factfile


@contextlib.contextmanager
def without_forks(runners, failures):
    """Have what starts runners say so often that it could not fork, and pass on the rest."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    loop, real = asyncio.get_running_loop(), runners._line
    loop.remove_reader(real)
    runners._line = ours
    loop.add_reader(ours, runners._hear, ours)
    told = []

    def pass_on():
        order = json.loads(theirs.recv(65536))
        if len(told) < failures:
            told.append(order["name"])
            theirs.send(json.dumps({"failed": order["name"], "problem": "no room"}).encode())
        else:
            real.send(json.dumps(order).encode())

    loop.add_reader(theirs, pass_on)
    loop.add_reader(real, lambda: theirs.send(real.recv(65536)))
    try:
        yield told
    finally:
        for line in (theirs, real):
            loop.remove_reader(line)
            line.close()


async def test_a_job_waits_until_a_process_can_be_made_for_it(checker, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "_PAUSE_SECONDS", 0.05)
    async with local(tmp_path) as made:
        service = JobService(made, checker)
        first = await service.submit(asking(factfile("true")))
        await ended(service, first.key)
        with without_forks(made.crew._runners, 2 * course.MAX_LAUNCHES) as told:
            job = await service.submit(asking(factfile("echo ran;")))
            end = await ended(service, job.key)

    assert len(told) == 2 * course.MAX_LAUNCHES
    assert end.job.outcome == "SUCCEEDED"


class Troubled(OwnEntries):
    """Cannot say at first whether a job may be begun."""

    troubles = 3

    async def begin(self, row):
        self.troubles -= 1
        if self.troubles >= 0:
            raise RuntimeError("can't start new thread")
        return await super().begin(row)


async def test_a_worker_is_given_out_again_whatever_keeps_its_job_from_starting(
    checker, tmp_path, monkeypatch
):
    monkeypatch.setattr(crew, "_PAUSE_SECONDS", 0.05)
    async with local(tmp_path, Troubled("box", PREFIX), workers=1) as made:
        service = JobService(made, checker)
        job = await service.submit(asking(factfile("echo ran;")))
        end = await ended(service, job.key)

    assert end.job.outcome == "SUCCEEDED"


async def test_a_job_waits_while_no_more_files_can_be_made(checker, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "_PAUSE_SECONDS", 0.05)
    with small_disk(tmp_path / "data", 8 * 1024 * 1024, options="nr_inodes=64") as data:
        async with local(tmp_path) as made:
            service = JobService(made, checker)
            first = await service.submit(asking(factfile("echo")))
            await ended(service, first.key)
            fillers = []
            with contextlib.suppress(OSError):
                for number in range(64):
                    fillers.append(data / f"filler-{number}")
                    fillers[-1].touch()
            # Enough for what the server makes of a launch, and not for its runner.
            for filler in fillers[:2]:
                filler.unlink()
            job = await service.submit(asking(factfile("echo waits;")))
            await asyncio.sleep(1.5)
            assert (await service.get(job.key)).job.state == "QUEUED"
            for filler in fillers:
                filler.unlink(missing_ok=True)
            end = await ended(service, job.key)

    assert end.job.outcome == "SUCCEEDED"


def test_what_a_task_puts_in_the_place_of_a_verdict_holds_up_nobody(tmp_path):
    folders = Folders(tmp_path)
    os.mkfifo(folders.prepare(1, 1, "token") / "verdict")
    read = []
    reading = threading.Thread(target=lambda: read.append(folders.verdict(1, 1)), daemon=True)
    reading.start()
    reading.join(5)

    assert read == [None]


async def test_a_clock_that_is_set_forward_removes_nothing(checker, tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_SWEEP_SECONDS", 0.02)
    async with local(tmp_path, keep_days=1) as made:
        service = JobService(made, checker)
        job = await service.submit(asking(factfile("echo")))
        await ended(service, job.key)
        now = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now() + 10 * DAY_MS * 1_000_000)
        await asyncio.sleep(0.5)

        assert (await service.list(JobQuery())).total == 1
