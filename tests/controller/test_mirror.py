"""The mirror against a real Consul that works. Only the jobs are made up."""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from factotum.controller.mirror.mirror import Mirror
from factotum.controller.mirror.presence import Timing
from factotum.controller.mirror.source import HeldByOther, Taken
from factotum.kube import errors
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import JobKey
from support.builders.mirrors import JOB_ID, OTHER, US, Jobs, done, settings, view, working
from support.consul.process import ConsulProcess

pytestmark = pytest.mark.consul

KEY = JobKey("pipelines", JOB_ID)
QUICK = Timing(probe_every=0.2, back_off=0.05, back_off_most=0.2, retry=0.05, revisit=0.1)
QUEUED = view("echo", "QUEUED", created=1)


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


class Counting(ConsulStore):
    """Counts the requests about single keys, the watch's own left out."""

    requests = 0

    async def get(self, path):
        self.requests += 1
        return await super().get(path)

    async def put(self, path, value, *, revision):
        self.requests += 1
        return await super().put(path, value, revision=revision)


class Bench:
    """One mirror with its jobs, below a prefix of its own."""

    def __init__(self, consul, prefix):
        self.consul = consul
        self.settings = settings(prefix)
        self.jobs = Jobs()
        self.store = Counting(consul.address)
        self.mirror = Mirror(self.store, self.settings, self.jobs, timing=QUICK)
        self.path = self.settings.key_path(KEY)

    def set(self, *views):
        self.jobs.put(*views)
        for each in views:
            self.mirror.note(each.key, each)

    def remove(self, *views):
        self.jobs.remove(*views)
        for each in views:
            self.mirror.note(each.key)

    @property
    def value(self):
        return self.consul.get(self.path)

    def theirs(self, job):
        self.consul.put(self.path, job.entry(OTHER).to_json())

    async def becomes(self, expected, seconds=3.0):
        deadline = time.monotonic() + seconds
        while self.value != expected:
            assert time.monotonic() < deadline, f"is {self.value}, should be {expected}"
            await asyncio.sleep(0.02)


@pytest.fixture
def bench(consul, request):
    return Bench(consul, request.node.name.partition("[")[0])


@contextlib.asynccontextmanager
async def running(bench):
    task = asyncio.create_task(bench.mirror.run())
    try:
        yield
        await asyncio.wait_for(bench.mirror.settled(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bench.store.close()


def ours(job):
    return job.entry(US).to_json()


async def test_an_entry_follows_its_job_with_as_many_requests_as_the_original_makes(bench):
    async with running(bench):
        await bench.mirror.settled()
        bench.jobs.put(QUEUED)
        assert await bench.mirror.take(QUEUED) == Taken()
        assert (
            bench.value
            == (
                '{"state":"QUEUED","jobRequest":{"jobId":"'
                + JOB_ID
                + '","jobName":"pipelines/echo",'
                '"factfilePath":"factotumjobs/pipelines/echo","factfileArgs":[]},'
                '"lastRunFrom":"factotum-operator-test","lastOutcome":"WAITING"}'
            ).encode()
        )
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        assert bench.value == ours(working(QUEUED))
        bench.set(done(QUEUED))
        await bench.mirror.settled()
        assert bench.value == ours(done(QUEUED))
        assert bench.store.requests == 4


async def test_an_end_is_owed_until_it_stands_in_its_entry(bench):
    assert bench.mirror.owes(KEY, QUEUED.uid)  # Consul was not asked yet
    async with running(bench):
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        bench.set(done(QUEUED))
        assert bench.mirror.owes(KEY, QUEUED.uid)
        await bench.mirror.settled()

        assert bench.value == ours(done(QUEUED))
        assert not bench.mirror.owes(KEY, QUEUED.uid)


async def test_nothing_is_written_twice_for_a_job_that_only_makes_progress(bench):
    async with running(bench):
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        before = bench.store.requests
        for _ in range(100):
            bench.set(working(QUEUED))
            await asyncio.sleep(0)
        await bench.mirror.settled()
        assert bench.store.requests == before


@pytest.mark.parametrize("value", [b"", b"no entry", b'{"state":"WORKING"}', b"\xff"])
async def test_a_value_that_is_no_entry_is_replaced(bench, value):
    bench.consul.put(bench.path, value)
    async with running(bench):
        bench.jobs.put(QUEUED)
        assert await bench.mirror.take(QUEUED) == Taken()
        assert bench.value == ours(QUEUED)


async def test_a_finished_entry_of_another_gives_way(bench):
    bench.theirs(done(QUEUED, "FAILED"))
    async with running(bench):
        bench.jobs.put(QUEUED)
        assert await bench.mirror.take(QUEUED) == Taken()
        assert bench.value == ours(QUEUED)


async def test_an_unfinished_entry_of_another_is_left_alone_until_it_is_finished(bench):
    theirs = view("theirs", "WORKING")
    bench.theirs(theirs)
    async with running(bench):
        bench.set(QUEUED)
        assert await bench.mirror.take(QUEUED) == HeldByOther(OTHER)
        await asyncio.sleep(0.3)
        assert bench.value == theirs.entry(OTHER).to_json()
        bench.theirs(done(theirs))
        await bench.becomes(ours(QUEUED))


async def test_an_end_that_could_not_be_written_while_another_held_the_entry_is_not_lost(bench):
    async with running(bench):
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        theirs = view("theirs", "WORKING")
        bench.theirs(theirs)  # an old server looks at nothing
        bench.set(done(QUEUED))
        await asyncio.sleep(0.3)
        assert bench.value == theirs.entry(OTHER).to_json()
        assert bench.jobs.reads > 0
        bench.theirs(done(theirs, "FAILED"))
        await bench.becomes(ours(done(QUEUED)))


async def test_after_a_lost_race_the_entry_is_derived_from_the_job_as_it_is_now(bench):
    async with running(bench):
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        # Another replica of ours wrote what our cache does not know yet.
        bench.jobs.hidden["now"] = done(QUEUED, "FAILED")
        bench.consul.put(bench.path, ours(done(QUEUED, "FAILED")))
        bench.set(replace(working(QUEUED), spec={"start": "x"}))
        await bench.mirror.settled()
        assert bench.jobs.reads == 1
        assert bench.value == ours(done(QUEUED, "FAILED"))


async def test_two_operators_at_once_never_both_take_an_entry(bench):
    other = Bench(bench.consul, bench.settings.prefix)
    other.mirror._settings = replace(bench.settings, name="second")
    async with running(bench), running(other):
        for number in range(20):
            job = replace(QUEUED, job_id=f"{number:064}")
            bench.jobs.put(job)
            other.jobs.put(job)
            answers = await asyncio.gather(bench.mirror.take(job), other.mirror.take(job))
            assert {type(answer) for answer in answers} == {Taken, HeldByOther}
            bench.set(done(job))
            other.jobs.remove(job)
            await bench.mirror.settled()


async def test_jobs_of_one_key_follow_each_other(bench):
    second = view("second", "QUEUED", created=2)
    async with running(bench):
        bench.set(working(QUEUED), second)
        await bench.mirror.settled()
        assert bench.value == ours(working(QUEUED))
        bench.set(done(QUEUED))
        await bench.mirror.settled()
        assert bench.value == ours(second)
        bench.set(done(second, "FAILED", completed=59))
        bench.remove(second)
        await bench.mirror.settled()
        assert bench.value == ours(done(second, "FAILED"))


async def test_a_job_that_ended_without_running_leaves_no_unfinished_entry(bench):
    async with running(bench):
        bench.set(QUEUED)
        await bench.mirror.settled()
        bench.set(replace(done(QUEUED, "FAILED"), ran=False))
        await bench.mirror.settled()
        assert bench.value == ours(done(QUEUED, "FAILED"))


async def test_a_job_that_was_removed_while_it_ran_is_closed_once_its_pod_has_ended(bench):
    async with running(bench):
        bench.set(working(QUEUED))
        await bench.mirror.settled()
        bench.jobs.pods.add(KEY)
        bench.remove(working(QUEUED))
        await asyncio.sleep(0.3)
        assert bench.value == ours(working(QUEUED))
        bench.jobs.pods.clear()
        await bench.becomes(ours(done(QUEUED, "FAILED")))


async def test_at_the_start_stale_entries_are_closed_and_all_others_stay(bench):
    at = bench.settings.key_path
    stale, alive, theirs, finished = (JobKey("pipelines", f"{n:064}") for n in range(4))
    bench.consul.put(at(stale), ours(replace(working(QUEUED), job_id=stale.job_id)))
    bench.consul.put(at(alive), ours(replace(QUEUED, job_id=alive.job_id, name="alive")))
    bench.consul.put(at(theirs), replace(QUEUED, job_id=theirs.job_id).entry(OTHER).to_json())
    bench.consul.put(at(finished), ours(replace(done(QUEUED), job_id=finished.job_id)))
    bench.consul.put(f"{bench.settings.prefix}/deep/er/key", b"x")
    before = {path: bench.consul.get(path) for path in bench.consul.keys(bench.settings.prefix)}
    # The cache does not know the second one yet; a live read does.
    bench.jobs.hidden["alive"] = working(replace(QUEUED, job_id=alive.job_id, name="alive"))
    async with running(bench):
        await bench.mirror.settled()
    after = {path: bench.consul.get(path) for path in before}
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {at(stale), at(alive)}
    assert after[at(stale)] == ours(replace(done(QUEUED, "FAILED"), job_id=stale.job_id))
    assert after[at(alive)] == ours(bench.jobs.hidden["alive"])


@pytest.mark.parametrize(
    ("trouble", "is_a_bug"),
    [(errors.UnreachableError("the API server is away"), False), (KeyError("status"), True)],
)
async def test_a_stale_entry_is_not_closed_while_its_job_cannot_be_read(
    bench, caplog, trouble, is_a_bug
):
    bench.consul.put(bench.path, ours(working(QUEUED)))
    bench.jobs.trouble = trouble
    async with running(bench):
        await bench.becomes(ours(done(QUEUED, "FAILED")))
        assert bench.jobs.reads == 2
    (told,) = [each for each in caplog.records if "cannot be mirrored yet" in each.message]
    # A server that is away is one line; a bug is shown whole.
    assert bool(told.exc_info) == is_a_bug


async def test_a_job_found_finished_does_not_replace_a_later_result_of_another_server(bench):
    bench.theirs(done(QUEUED, "FAILED"))
    bench.jobs.put(done(QUEUED))
    async with running(bench):
        await bench.mirror.settled()
        assert bench.value == done(QUEUED, "FAILED").entry(OTHER).to_json()


async def test_a_namespace_of_our_choice_has_the_keys_of_the_original(bench):
    job = replace(QUEUED, namespace="default")
    async with running(bench):
        bench.jobs.put(job)
        assert await bench.mirror.take(job) == Taken()
        assert bench.consul.get(f"{bench.settings.prefix}/{JOB_ID}") == ours(job)


async def test_an_entry_that_consul_refuses_hinders_no_other(bench):
    big = replace(QUEUED, job_id="f" * 64, spec={"start": "x" * 600_000})
    async with running(bench):
        bench.set(big, QUEUED)
        await bench.becomes(ours(QUEUED))
        await bench.mirror.settled()
        assert bench.mirror.reachable
        assert bench.consul.get(bench.settings.key_path(big.key)) is None


async def test_a_thousand_jobs_are_brought_level_in_seconds(bench):
    jobs = [replace(QUEUED, uid=f"u{n}", job_id=f"{n:064}") for n in range(1000)]
    bench.jobs.put(*jobs)
    began = time.monotonic()
    async with running(bench):
        await bench.mirror.settled()
        first = time.monotonic() - began
        assert len(bench.consul.keys(bench.settings.prefix)) == 1000
        began = time.monotonic()
        assert await bench.mirror._level() == 0
        again = time.monotonic() - began
    print(f"1,000 entries: written in {first:.2f} s, compared in {again * 1000:.0f} ms")
    assert first < 10
