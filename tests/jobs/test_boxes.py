"""Boxes that share one Consul: what becomes of the jobs of one that is gone or comes back.

Real: the backends, their runners and shells, Consul with its sessions. A server's
death is its end in this process; a cut-off box is one whose way to Consul is shut.
"""

import asyncio
import json

import pytest

from factotum.jobs.errors import DuplicateJobError
from factotum.jobs.local.backend import LocalBackend
from factotum.jobs.local.consul_entries import ConsulEntries
from factotum.jobs.local.entries import OwnEntries
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.service import JobService
from factotum.jobs.views import Submission
from factotum.persistence.consul import ConsulStore
from support.server.backends import PREFIX, asking, ended, in_state, with_reason
from support.server.boxes import (
    KEYS,
    Box,
    boxes,
    claim,
    lines,
    stored,
    until,
    until_entry,
    write,
)
from support.server.running import factfile

pytestmark = pytest.mark.consul


@pytest.fixture
def make(consul, checker, tmp_path):
    def make(name, address=None, **settings):
        return Box(tmp_path, address or consul.address, checker, name, **settings)

    return make


@pytest.fixture
def noting(tmp_path):
    """A factfile that waits for a file and then writes a line, the file, and the lines."""
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    command = f"while ! [ -e {gate} ]; do sleep 0.02; done; echo {{{{tag:n}}}} >> {ran}"
    document = factfile("sh")
    document["data"]["tasks"][0]["arguments"] = ["-c", command]
    yield write(tmp_path / "job.factfile", document), gate, ran
    gate.touch()  # runners outlive their boxes


async def queued_behind(box, path, *numbers):
    """Fill a box's one worker, and queue jobs behind; return all their ids."""
    jobs = [await box.submit(path, "--tag", f"n,{number}") for number in numbers]
    await in_state(box.service, jobs[0].key, "WORKING")
    return jobs


async def test_what_a_lost_box_had_queued_runs_on_another_and_what_it_ran_has_failed(
    consul, make, noting
):
    path, gate, ran = noting
    one, two = make("one", workers=1), make("two", workers=1)
    async with boxes(one, two):
        working, waiting = await queued_behind(one, path, 1, 2)
        await until_entry(consul, working.job_id, state="WORKING")
        await one.die()

        await until_entry(consul, waiting.job_id, lastRunFrom="two")
        closed = await until_entry(consul, working.job_id, state="DONE")
        assert (closed["lastOutcome"], closed["lastRunFrom"]) == ("FAILED", "one")
        assert await two.backend.entry(working.job_id)
        gate.touch()
        entry = await until_entry(consul, waiting.job_id, state="DONE")
        assert entry["lastOutcome"] == "SUCCEEDED"

    assert "2" in lines(ran)
    assert lines(ran).count("2") == 1
    assert not claim(consul, waiting.job_id)
    assert not claim(consul, working.job_id)


@pytest.mark.parametrize("shared", ["", "factotum"])
async def test_a_box_that_comes_back_stops_what_was_closed_and_runs_nothing_that_was_taken(
    consul, make, noting, shared
):
    path, gate, ran = noting
    one = make("one", workers=1, consul_name=shared)
    two = make("two", workers=2, consul_name=shared)
    async with boxes(one, two):
        working, waiting = await queued_behind(one, path, f"3{shared}", f"4{shared}")
        mine = two.entries.membership.box
        await one.die()
        await until(lambda: claim(consul, waiting.job_id).get("box") == mine, "taken over")
        await until_entry(consul, working.job_id, state="DONE")

        await one.start()
        # The runner has outlived its server, and waits for the gate.
        lost = await with_reason(one.service, working.key, "Lost")
        given_up = await with_reason(one.service, waiting.key, "Duplicate")
        gate.touch()
        await until_entry(consul, waiting.job_id, state="DONE")
        await until(lambda: not consul.keys(KEYS.losses(one.entries.membership.box)), "buried")

        assert (lost.outcome, given_up.outcome) == ("FAILED", "FAILED")
        assert "closed it as failed" in lost.message
        assert "took it over" in given_up.message
        assert stored(consul, working.job_id)["lastOutcome"] == "FAILED"
        again = await one.submit(path, "--tag", f"n,3{shared}")
        assert (await ended(one.service, again.key)).job.outcome == "SUCCEEDED"

    assert sorted(lines(ran)) == [f"3{shared}", f"4{shared}"]


async def test_a_run_of_a_lost_box_is_taken_up_again_where_that_is_wished(consul, make, tmp_path):
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    wait = f"while ! [ -e {gate} ]; do sleep 0.02; done; echo second >> {ran};"
    path = write(tmp_path / "two.factfile", factfile(f"echo first >> {ran};", wait))
    one, two = make("one", resumes=True), make("two", resumes=True)
    async with boxes(one, two):
        job = await one.submit(path)
        await until(lambda: '"SR"' in claim(consul, job.job_id).get("kept", ""), "told")
        runner = next((tmp_path / "one").glob("attempts/*/1-1/lock"))
        await one.die()
        await until_entry(consul, job.job_id, lastRunFrom="two", state="WORKING")
        assert runner.exists()
        await one.start()
        await with_reason(one.service, job.key, "Lost")
        gate.touch()
        entry = await until_entry(consul, job.job_id, state="DONE")
        theirs = await two.service.find(job.job_id)

    assert entry["lastOutcome"] == "SUCCEEDED"
    assert (theirs.tasks_done, theirs.attempt) == (2, 1)
    assert lines(ran) == ["first", "second"]


async def test_of_several_boxes_each_job_is_taken_by_one(consul, make, noting):
    path, gate, ran = noting
    numbers = range(100, 130)
    one, two, three = make("one", workers=1), make("two", workers=4), make("three", workers=4)
    async with boxes(one, two, three):
        jobs = await queued_behind(one, path, *numbers)
        gate.touch()
        await one.die()
        entries = [await until_entry(consul, job.job_id, state="DONE") for job in jobs]
        takers = {entry["lastRunFrom"] for entry in entries[5:]}

    assert sorted(lines(ran), key=int) == [str(number) for number in numbers]
    assert takers <= {"one", "two", "three"}
    assert not consul.keys(KEYS.claims)


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("changed", "changed.factfile is another job here"),
        ("gone", "there is no factfile '"),
        ("host", "could not find any IPv4 addresses"),
    ],
)
async def test_what_cannot_be_run_elsewhere_waits_for_its_box(
    consul, make, noting, tmp_path, why, told
):
    path, gate, ran = noting
    one, two = make("one", workers=1), make("two", workers=1)
    other = write(tmp_path / f"{why}.factfile", factfile(f"echo {why} >> {ran};"))
    text = other.read_text()
    constraint = ("--constraint", "host,no-such-host.invalid") if why == "host" else ()
    async with boxes(one, two):
        first = (await queued_behind(one, path, f"before-{why}"))[0]
        job = await one.submit(other, *constraint)
        if why == "changed":
            write(other, factfile("echo something else"))
        elif why == "gone":
            other.unlink()
        await one.die()
        await until_entry(consul, first.job_id, state="DONE")
        # Whoever closed the one has looked at the other, too.
        await two.until_looked_at(job.job_id)
        assert stored(consul, job.job_id)["state"] == "QUEUED"
        assert claim(consul, job.job_id)["box"] == one.entries.membership.box
        (left,) = [each for each in two.service.stranded() if each.job_id == job.job_id]
        assert (left.name, left.host) == ("job", one.entries.membership.host)
        assert told in left.why

        other.write_text(text)
        if why == "host":
            await one.start()
            gate.touch()
        entry = await until_entry(consul, job.job_id, state="DONE")
        await until(
            lambda: job.job_id not in {each.job_id for each in two.service.stranded()},
            "nothing is left to say of it",
        )

    assert entry["lastOutcome"] == "SUCCEEDED"
    assert entry["lastRunFrom"] == ("one" if why == "host" else "two")
    assert lines(ran).count(why) == (why != "host")


async def test_a_factfile_that_came_with_the_request_goes_with_its_job(consul, make, noting):
    path, _, ran = noting
    one, two = make("one", workers=1), make("two", workers=1)
    async with boxes(one, two):
        await queued_behind(one, path, "inline")
        job = await one.service.submit(asking(factfile(f"echo came >> {ran};"), name="x"))
        await until(lambda: claim(consul, job.job_id).get("whole"), "written")
        await one.die()
        entry = await until_entry(consul, job.job_id, state="DONE")

    assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "two")
    assert entry["jobRequest"]["factfilePath"] == "inline"
    assert lines(ran) == ["came"]


async def test_a_suspended_job_stays_so_elsewhere(consul, make, noting):
    path, gate, ran = noting
    one, two = make("one", workers=1), make("two", workers=1)
    async with boxes(one, two):
        _, job = await queued_behind(one, path, "s1", "s2")
        await one.service.suspend(job.key)
        await until(lambda: claim(consul, job.job_id)["phase"] == "suspended", "suspended")
        await one.die()
        await until_entry(consul, job.job_id, lastRunFrom="two")
        gate.touch()
        async with asyncio.timeout(20):
            # Consul hears of it before it is in the box's own file.
            while (theirs := await two.service.find(job.job_id)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (theirs.state, theirs.reason) == ("QUEUED", "Suspended")
        await two.service.resume(theirs.key)
        entry = await until_entry(consul, job.job_id, state="DONE")

    assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "two")
    assert lines(ran).count("s2") == 1


async def test_a_job_that_one_box_has_is_refused_by_the_others(make, noting):
    path, gate, ran = noting
    one, two = make("one"), make("two")
    async with boxes(one, two):
        job = await one.submit(path, "--tag", "n,once")
        with pytest.raises(DuplicateJobError):
            await two.submit(path, "--tag", "n,once")
        gate.touch()
        await ended(one.service, job.key)
        await until(lambda: not one.entries.is_being_written(job.job_id), "written")
        assert (await two.backend.entry(f"{PREFIX}/{job.job_id}")).last_run_from == "one"
        again = await two.submit(path, "--tag", "n,once")
        await ended(two.service, again.key)

    assert lines(ran) == ["once", "once"]


@pytest.mark.parametrize("shared", ["", "factotum"])
async def test_one_job_sent_to_all_boxes_at_once_is_accepted_by_one(consul, make, noting, shared):
    path, gate, ran = noting
    # The original's default name is everybody's.
    made = [make(name, consul_name=shared) for name in ("one", "two", "three")]
    async with boxes(*made):
        for trial in range(10):
            tags = ("--tag", f"n,t{trial}{shared}")
            answers = await asyncio.gather(
                *(each.submit(path, *tags) for each in made), return_exceptions=True
            )
            refused = [each for each in answers if isinstance(each, DuplicateJobError)]
            assert len(refused) == 2, answers
        gate.touch()
        job_ids = {each.job_id for each in answers if not isinstance(each, Exception)}
        for job_id in job_ids:
            await until_entry(consul, job_id, state="DONE")
        await until(lambda: len(lines(ran)) >= 10, "all ran")

    assert sorted(lines(ran)) == sorted(f"t{trial}{shared}" for trial in range(10))


@pytest.mark.parametrize("knows", [True, False])
async def test_only_who_knows_the_boxes_token_can_have_them_run_something(
    consul, make, noting, tmp_path, knows
):
    path, _, ran = noting
    one, two = make("one", workers=1, secret="a"), make("two", secret="a")
    async with boxes(one, two):
        await queued_behind(one, path, f"seal-{knows}")
        job = await one.service.submit(asking(factfile(f"echo {knows} >> {ran};")))
        await until(lambda: claim(consul, job.job_id).get("whole"), "written")
        await one.die()
        if not knows:
            # Who may write to Consul alone says what is to be run.
            forged = claim(consul, job.job_id) | {"place": 0}
            consul.put(KEYS.claim(job.job_id), json.dumps(forged).encode())
            await two.until_looked_at(job.job_id)
            assert stored(consul, job.job_id)["state"] == "QUEUED"
        else:
            await until_entry(consul, job.job_id, state="DONE", lastRunFrom="two")
    consul._ask("DELETE", f"/v1/kv/{KEYS.claims}/?recurse", b"")

    assert lines(ran) == (["True"] if knows else [])


async def test_a_box_that_used_to_be_alone_brings_its_jobs_along(
    consul, make, checker, noting, tmp_path
):
    path, gate, ran = noting
    entries = ConsulEntries(ConsulStore(consul.address), OwnEntries("one", PREFIX), "one", PREFIX)
    backend = LocalBackend(LocalSettings(folder=tmp_path / "one", workers=1), entries)
    await backend.start()
    service = JobService(backend, checker)
    asked = [
        Submission(name="job", factfile_path=str(path), args=("--tag", f"n,{n}"))
        for n in ("u1", "u2")
    ]
    jobs = [await service.submit(each) for each in asked]
    await in_state(service, jobs[0].key, "WORKING")
    await until_entry(consul, jobs[0].job_id, state="WORKING")
    await backend.stop()
    one, two = make("one", workers=1), make("two")
    async with boxes(one, two):
        await until(lambda: claim(consul, jobs[0].job_id).get("phase") == "launched", "claimed")
        await until(lambda: claim(consul, jobs[1].job_id).get("phase") == "waiting", "claimed")
        gate.touch()
        for job in jobs:
            entry = await until_entry(consul, job.job_id, state="DONE")
            assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "one")

    assert lines(ran) == ["u1", "u2"]
