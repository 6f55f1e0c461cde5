"""Orders that meet something else on their way: another order, a look at the host, a restart.

Real: the backend, its file, its runners; what is held up is held up by a store of entries
that takes its time, or by a thread that is busy.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from factotum.jobs.errors import DuplicateJobError, NotPossibleError
from factotum.jobs.local.entries import OwnEntries
from factotum.jobs.local.running.crew import Crew
from factotum.jobs.local.running.folders import Folders
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.local.store import rows
from factotum.jobs.local.store.database import Database
from factotum.jobs.local.store.ledger import Ledger
from factotum.jobs.service import JobService
from factotum.jobs.views import LogQuery
from support.builders.jobs import make_report
from support.builders.local_jobs import row
from support.server.backends import PREFIX, asking, ended, in_state, local, with_reason
from support.server.running import factfile


class SlowEntries(OwnEntries):
    """Entries somewhere far away: taking one may be held up. Remembers what it was told last."""

    def __init__(self):
        super().__init__("box", PREFIX)
        self.taken = asyncio.Semaphore(0)
        self.gates = []
        self.noted = {}

    def hold_up(self):
        """Have the next one who takes a job wait until the returned event is set."""
        gate = asyncio.Event()
        self.gates.append(gate)
        return gate

    async def take(self, row, check_room):
        await super().take(row, check_room)
        gate = self.gates.pop(0) if self.gates else None
        self.taken.release()
        if gate is not None:
            await gate.wait()
        self.noted[row.job_id] = (row.state, row.outcome)

    def note(self, row):
        self.noted[row.job_id] = (row.state, row.outcome)

    async def until_taken(self):
        async with asyncio.timeout(30):
            await self.taken.acquire()


@contextmanager
def busy_threads():
    """Have the loop's one thread busy, until the block is left."""
    released = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    executor.submit(released.wait)
    try:
        yield
    finally:
        released.set()


async def suspended(service, document):
    job = await service.submit(asking(document))
    await in_state(service, job.key, "WORKING")
    await service.suspend(job.key)
    await with_reason(service, job.key, "Suspended")
    return job


async def test_of_two_who_resume_a_job_at_once_one_has_it_run(checker, tmp_path, waiting):
    document, release = waiting
    entries = SlowEntries()
    async with local(tmp_path, entries) as backend:
        service = JobService(backend, checker)
        job = await suspended(service, document)
        await entries.until_taken()
        gates = entries.hold_up(), entries.hold_up()
        first = asyncio.create_task(service.resume(job.key))
        await entries.until_taken()
        second = asyncio.create_task(service.resume(job.key))
        gates[0].set()
        await first
        await in_state(service, job.key, "WORKING")
        gates[1].set()  # a second one is written over what runs
        with pytest.raises(DuplicateJobError):
            await second
        assert service.load().active == 1
        release()
        end = await ended(service, job.key)

    assert (end.job.outcome, end.job.attempt) == ("SUCCEEDED", 2)
    assert (tmp_path / "ran").read_text() == "first\nthird\n"


async def test_a_job_that_is_cancelled_while_it_is_being_resumed_stays_cancelled(
    checker, tmp_path, waiting
):
    document, release = waiting
    entries = SlowEntries()
    async with local(tmp_path, entries) as backend:
        service = JobService(backend, checker)
        job = await suspended(service, document)
        await entries.until_taken()
        gate = entries.hold_up()
        resuming = asyncio.create_task(service.resume(job.key))
        await entries.until_taken()
        await service.cancel(job.key)
        gate.set()
        with pytest.raises(NotPossibleError, match="Cancelled"):
            await resuming
        release()

        assert (await service.get(job.key)).job.reason == "Cancelled"
        assert entries.noted[job.job_id] == ("DONE", "FAILED")
        assert service.load().active == service.load().waiting == 0


async def test_a_job_that_is_suspended_while_its_host_is_looked_up_stays_suspended(
    checker, tmp_path
):
    document = factfile(f"echo >> {tmp_path}/ran;")
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        with busy_threads():
            job = await service.submit(asking(document, "--constraint", "host,192.0.2.1"))
            await service.suspend(job.key)
        # Behind the first one in the only thread: once it has ended, both were looked up.
        other = await service.submit(asking(factfile("echo"), "--constraint", "host,192.0.2.1"))
        assert (await ended(service, other.key)).job.reason == "HostConstraintNotMatched"

        assert (await service.get(job.key)).job.reason == "Suspended"
        await service.cancel(job.key)
        assert (await service.get(job.key)).job.reason == "Cancelled"


async def test_a_job_that_is_resumed_while_its_host_is_looked_up_has_one_runner(
    checker, tmp_path, waiting
):
    document, release = waiting
    async with local(tmp_path, workers=1) as backend:
        service = JobService(backend, checker)
        with busy_threads():
            job = await service.submit(asking(document, "--constraint", "host,*"))
            await service.suspend(job.key)
            await service.resume(job.key)
        await in_state(service, job.key, "WORKING")
        other = await service.submit(asking(factfile("echo"), "--constraint", "host,*"))

        assert (service.load().active, service.load().waiting) == (1, 1)
        release()
        assert (await ended(service, job.key)).job.outcome == "SUCCEEDED"
        assert (await ended(service, other.key)).job.outcome == "SUCCEEDED"
        printed = (await service.log(job.key, LogQuery())).data
    assert b"Nothing to run" not in printed  # as a second runner would say
    assert (tmp_path / "ran").read_text() == "first\nthird\n"


async def test_a_restart_leaves_a_suspended_job_as_it_is(checker, tmp_path, waiting):
    document, release = waiting
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        job = await suspended(service, document)
        before = await service.get(job.key)
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        after = await service.get(job.key)
        release()
        await service.resume(job.key)
        assert (await ended(service, job.key)).job.outcome == "SUCCEEDED"

    assert (after.job, after.tasks, after.attempts) == (before.job, before.tasks, before.attempts)


async def test_progress_that_cannot_be_written_is_written_later(tmp_path):
    database = Database(tmp_path / "data")
    ledger = Ledger(database)
    settings = LocalSettings(folder=tmp_path / "data")
    told = []
    crew = Crew(ledger, Folders(settings.folder), settings, told.append, OwnEntries("box", PREFIX))
    for key in (1, 2, 3):
        work = row(key, state="WORKING", outcome="RUNNING", reason="Claimed")
        work.launch, work.token, work.claim_id = 1, "t", "a" * 32
        await ledger.add(work, rows.keep_factfile("h", "text"))
        report = make_report("R", claim_id="a" * 32, sequence=1)
        await crew.desk.report(key, 1, report, "t")
    database._writer.execute("PRAGMA query_only = 1")
    await crew.save_progress()
    assert not told
    assert [ledger.get(str(key)).report_sequence for key in (1, 2, 3)] == [1, 1, 1]
    database._writer.execute("PRAGMA query_only = 0")
    await crew.save_progress()
    stored = [ledger._stored(key).report_sequence for key in (1, 2, 3)]
    database.close()

    assert stored == [1, 1, 1]
    assert sorted(each.key for each in told) == [1, 2, 3]
    assert not crew.desk.unsaved
