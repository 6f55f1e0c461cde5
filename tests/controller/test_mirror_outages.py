"""The mirror against a real Consul that stops, dies, freezes and forgets; only jobs are made up."""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from factotum.controller.mirror.mirror import Mirror
from factotum.controller.mirror.presence import Timing
from factotum.controller.mirror.source import Taken, Unreachable
from factotum.persistence.consul import ConsulStore
from support.builders.mirrors import US, Jobs, done, settings, view, working
from support.consul.process import ConsulProcess, free_ports, silent_listener

pytestmark = pytest.mark.consul

DESIGN = Timing()
"""What the operator runs with: every promise is kept with these."""
IMPATIENT = replace(DESIGN, back_off_most=0.3, probe_every=0.3)
"""The same with shorter pauses, where a test would only wait for them."""
JOBS = [view(f"job-{n}", "QUEUED", created=n, job_id=f"{n:064}") for n in range(20)]


@contextlib.asynccontextmanager
async def mirroring(address, jobs, *, timing=DESIGN):
    async with ConsulStore(address) as store:
        mirror = Mirror(store, settings(), jobs, timing=timing)
        task = asyncio.create_task(mirror.run())
        try:
            yield mirror
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def entries(consul):
    prefix = settings().prefix
    return {path: consul.get(path) for path in consul.keys(prefix)}


def expected(jobs):
    return {settings().key_path(job.key): job.entry(US).to_json() for job in jobs}


async def becomes(consul, jobs, seconds):
    began = time.monotonic()
    while (found := await asyncio.to_thread(entries, consul)) != expected(jobs):
        assert time.monotonic() - began < seconds, found
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def taken(mirror, jobs):
    """Take all entries at once; return the answers and how long each had to wait."""

    async def one(job):
        began = time.monotonic()
        answer = await mirror.take(job)
        return answer, time.monotonic() - began

    answers = await asyncio.gather(*(one(job) for job in jobs))
    return [answer for answer, _ in answers], [seconds for _, seconds in answers]


async def test_twenty_jobs_go_on_through_an_outage_and_all_entries_are_right_after_it(tmp_path):
    jobs = Jobs()
    with ConsulProcess.keeping(tmp_path) as consul:
        async with mirroring(consul.address, jobs) as mirror:
            jobs.put(*JOBS)
            answers, _ = await taken(mirror, JOBS[:10])
            assert answers == [Taken()] * 10
            for job in map(working, JOBS[:5]):
                jobs.put(job)
                mirror.note(job.key, job)
            await mirror.settled()
            await asyncio.to_thread(consul.stop)
            answers, seconds = await taken(mirror, JOBS[10:])
            assert {type(answer) for answer in answers} == {Unreachable}
            print(f"longest wait of a job for a Consul that is down: {max(seconds):.3f} s")
            assert max(seconds) < 1.1
            verdicts = [done(job, "FAILED" if n % 3 else "SUCCEEDED") for n, job in enumerate(JOBS)]
            for job, verdict in zip(JOBS, verdicts, strict=True):
                jobs.put(working(job))
                mirror.note(job.key, job)
                jobs.put(verdict)
                mirror.note(job.key, job)
            for verdict in verdicts[:5]:  # with a resource that is gone before Consul is back
                jobs.remove(verdict)
                mirror.note(verdict.key, verdict)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(consul.start)
            behind = await becomes(consul, verdicts, 30)
            print(f"entries right after {behind:.2f} s")


async def test_a_consul_that_comes_back_with_nothing_gets_everything_again(tmp_path):
    jobs = Jobs()
    with ConsulProcess.fresh(tmp_path) as consul:
        async with mirroring(consul.address, jobs, timing=IMPATIENT) as mirror:
            now = [*map(done, JOBS[:5]), *map(working, JOBS[5:10])]
            jobs.put(*now)
            await becomes(consul, now, 5)
            await asyncio.to_thread(consul.kill)
            await until(lambda: not mirror.reachable)
            await asyncio.to_thread(consul.start)
            await becomes(consul, now, 5)


async def test_a_restart_that_nobody_noticed_is_found_out_by_what_is_missing(tmp_path):
    jobs = Jobs()
    timing = replace(DESIGN, probe_every=1.0)
    with ConsulProcess.fresh(tmp_path) as consul:
        async with mirroring(consul.address, jobs, timing=timing) as mirror:
            now = [working(job) for job in JOBS]
            jobs.put(*now)
            await becomes(consul, now, 5)
            await asyncio.sleep(1.1)  # the next probe sees how far the store had come
            await asyncio.to_thread(consul.kill)
            await asyncio.to_thread(consul.start)
            assert mirror.reachable
            await becomes(consul, now, 5)


async def test_a_consul_that_says_nothing_costs_one_second_once(tmp_path):
    jobs = Jobs()
    with ConsulProcess.fresh(tmp_path) as consul:
        async with mirroring(consul.address, jobs, timing=IMPATIENT) as mirror:
            jobs.put(*JOBS)
            await mirror.settled()
            consul.freeze()
            _, seconds = await taken(mirror, JOBS)
            print(f"longest wait of a job for a Consul that hangs: {max(seconds):.3f} s")
            assert max(seconds) < 1.3
            answers, seconds = await taken(mirror, JOBS)
            assert {type(answer) for answer in answers} == {Unreachable}
            assert max(seconds) < 0.1
            now = [working(job) for job in JOBS]
            for job in now:
                jobs.put(job)
                mirror.note(job.key, job)
            await asyncio.sleep(0.3)
            consul.thaw()
            await becomes(consul, now, 10)
            await until(lambda: mirror.prompt)
            answers, _ = await taken(mirror, JOBS[:1])
            assert answers == [Taken()]


async def test_nothing_is_lost_whatever_moment_consul_dies_at(tmp_path):
    jobs = Jobs()
    latest = {}
    with ConsulProcess.keeping(tmp_path) as consul:
        async with mirroring(consul.address, jobs, timing=IMPATIENT) as mirror:
            for turn in range(2):
                for step in (lambda job: job, working, done):
                    for job in JOBS:
                        state = replace(step(job), created=f"2026-01-01T00:01:{turn:02}Z")
                        latest[job.uid] = state
                        jobs.put(state)
                        mirror.note(state.key, state)
                    await asyncio.sleep(0.01 * turn)
                    if step is working:
                        await asyncio.to_thread(consul.kill)
                        await asyncio.to_thread(consul.start)
            await becomes(consul, latest.values(), 10)


async def test_without_any_consul_jobs_wait_a_second_once_and_say_so():
    jobs = Jobs()
    with silent_listener() as address:
        async with mirroring(address, jobs) as mirror:
            jobs.put(*JOBS)
            answers, seconds = await taken(mirror, JOBS)
            assert max(seconds) < 1.3
            assert "no answer within 1 s" in answers[0].message
            _, seconds = await taken(mirror, JOBS)
            assert max(seconds) < 0.1
    async with mirroring(f"127.0.0.1:{free_ports(1)[0]}", jobs) as mirror:
        answers, seconds = await taken(mirror, JOBS)
        assert max(seconds) < 0.5
        assert "refused" in answers[0].message
        assert not mirror.reachable


class Interrupting(ConsulStore):
    """Has something done once an entry was written, in the moment before its writer knows."""

    interrupt = staticmethod(lambda: None)

    async def put(self, path, value, *, revision):
        revision = await super().put(path, value, revision=revision)
        asyncio.get_running_loop().call_soon(self.interrupt)
        return revision


async def test_the_mirror_ends_at_whatever_moment_it_is_told_to(tmp_path):
    jobs = Jobs()
    with ConsulProcess.fresh(tmp_path) as consul:
        async with Interrupting(consul.address) as store:
            mirror = Mirror(store, settings(), jobs)
            task = asyncio.create_task(mirror.run())
            store.interrupt = task.cancel
            jobs.put(JOBS[0])
            mirror.note(JOBS[0].key, JOBS[0])
            try:
                await asyncio.wait({task}, timeout=10)
                assert task.cancelled()
            finally:
                task.cancel()
                await asyncio.wait({task}, timeout=10)
