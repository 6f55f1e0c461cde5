"""The local backend with its entries in Consul, as other servers see them.

Real: the backend, its runners, Consul.
"""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from factotum.jobs.errors import DuplicateJobError
from factotum.jobs.local.backend import LocalBackend
from factotum.jobs.local.consul_entries import ConsulEntries
from factotum.jobs.local.entries import OwnEntries
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.service import JobService
from factotum.persistence.consul import ConsulStore
from support.builders.local_jobs import row
from support.server.backends import PREFIX, asking, ended, in_state
from support.server.running import factfile

pytestmark = pytest.mark.consul


@asynccontextmanager
async def box(folder, consul, name):
    entries = ConsulEntries(ConsulStore(consul.address), OwnEntries(name, PREFIX), name, PREFIX)
    backend = LocalBackend(LocalSettings(folder=folder / name), entries)
    await backend.start()
    try:
        yield backend
    finally:
        await backend.stop()


def stored(consul, job_id):
    value = consul.get(f"{PREFIX}/{job_id}")
    return None if value is None else json.loads(value)


async def until(consul, job_id, state):
    async with asyncio.timeout(20):
        while (entry := stored(consul, job_id)) is None or entry["state"] != state:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return entry


async def test_a_suspended_job_keeps_its_entry_and_goes_on(consul, checker, tmp_path, waiting):
    document, release = waiting
    async with box(tmp_path, consul, "one") as backend, box(tmp_path, consul, "two") as other:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await in_state(service, job.key, "WORKING")
        await until(consul, job.job_id, "WORKING")
        await service.suspend(job.key)
        await in_state(service, job.key, "QUEUED")
        await until(consul, job.job_id, "QUEUED")
        with pytest.raises(DuplicateJobError):
            await JobService(other, checker).submit(asking(document))
        release()
        await service.resume(job.key)
        end = await ended(service, job.key)
        entry = await until(consul, job.job_id, "DONE")

    assert (end.job.outcome, entry["lastOutcome"], entry["lastRunFrom"]) == (
        "SUCCEEDED",
        "SUCCEEDED",
        "one",
    )


async def test_a_failed_job_is_not_resumed_while_another_box_has_it(consul, checker, tmp_path):
    flag, gate = tmp_path / "flag", tmp_path / "gate"
    command = f"if [ -e {flag} ]; then while ! [ -e {gate} ]; do sleep 0.02; done; else exit 1; fi;"
    document = factfile(command)
    async with box(tmp_path, consul, "one") as backend, box(tmp_path, consul, "two") as other:
        service, elsewhere = JobService(backend, checker), JobService(other, checker)
        job = await service.submit(asking(document))
        await ended(service, job.key)
        await until(consul, job.job_id, "DONE")
        flag.touch()
        theirs = await elsewhere.submit(asking(document))
        with pytest.raises(DuplicateJobError):
            await service.resume(job.key)
        gate.touch()
        await ended(elsewhere, theirs.key)
        entry = await until(consul, job.job_id, "DONE")

    assert (entry["lastRunFrom"], entry["lastOutcome"]) == ("two", "SUCCEEDED")


async def test_every_box_answers_for_every_job(consul, checker, tmp_path):
    document = factfile("echo everywhere")
    async with box(tmp_path, consul, "one") as backend, box(tmp_path, consul, "two") as other:
        job = await JobService(backend, checker).submit(asking(document))
        await ended(JobService(backend, checker), job.key)
        await until(consul, job.job_id, "DONE")
        seen = [await each.entry(f"{PREFIX}/{job.job_id}") for each in (backend, other)]

    assert seen[0] == seen[1]
    assert seen[0].last_run_from == "one"


async def test_a_change_that_comes_as_the_one_before_it_was_written_is_written(consul, tmp_path):
    async with box(tmp_path, consul, "one"):
        entries = ConsulEntries(
            ConsulStore(consul.address), OwnEntries("one", PREFIX), "one", PREFIX
        )
        entries.note(row(1, job_id="moment", state="WORKING", outcome="RUNNING"))
        # Looked at in every turn of the loop: the writer has nothing left, and is there still.
        while "moment" in entries._unwritten:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        entries.note(row(1, job_id="moment", state="DONE", outcome="SUCCEEDED"))
        end = await until(consul, "moment", "DONE")
        await entries.stop()

    assert end["lastOutcome"] == "SUCCEEDED"
