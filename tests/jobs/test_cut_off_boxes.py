"""Boxes that Consul was away from, that were cut off from it, or find others' traces in it.

Real: the backends, their runners and shells, Consul. What shuts a box's way to Consul
is a port that passes on, until it is told not to.
"""

import asyncio
import json
import shutil
from contextlib import ExitStack

import pytest

from factotum.core.wire.judging import Granted, Later
from factotum.jobs.errors import BackendError, DuplicateJobError
from factotum.jobs.local.boxes.claims import Claim, Phase
from factotum.jobs.local.boxes.takeover import Case
from factotum.jobs.local.running import course
from factotum.jobs.local.running.desk import Desk
from factotum.jobs.views import JobQuery
from factotum.persistence.errors import StoreConflictError
from support.consul.process import ConsulProcess
from support.server.backends import PREFIX, ended, in_state, with_reason
from support.server.boxes import (
    KEYS,
    TTL_SECONDS,
    Box,
    boxes,
    claim,
    lines,
    stored,
    until,
    until_entry,
    write,
)
from support.server.gate import ConsulGate
from support.server.running import factfile, job_id_of

pytestmark = pytest.mark.consul


@pytest.fixture
def way(consul):
    """Make ways to Consul that can be shut."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(ConsulGate(consul.address))


@pytest.fixture
def make(consul, checker, tmp_path):
    def make(name, address=None, **settings):
        return Box(tmp_path, address or consul.address, checker, name, **settings)

    return make


def document_of(tmp_path):
    over = f"[ -e {tmp_path}/over ]"
    command = f"while ! [ -e {tmp_path}/gate-{{{{tag:n}}}} ] && ! {over}; do sleep 0.02; done;"
    document = factfile("sh")
    command += f" echo {{{{tag:n}}}} >> {tmp_path}/ran"
    document["data"]["tasks"][0]["arguments"] = ["-c", command]
    return document


@pytest.fixture
def path(tmp_path):
    """A factfile that waits for a file of its tag's name and then writes a line."""
    yield write(tmp_path / "job.factfile", document_of(tmp_path))
    (tmp_path / "over").touch()  # runners outlive their boxes


def is_held(consul, box):
    """Whether Consul says that a box lives."""
    _, body = consul._ask("GET", f"/v1/kv/{KEYS.box(box.entries.membership.box)}", b"")
    return bool(body) and "Session" in json.loads(body)[0]


async def test_an_outage_of_consul_is_nobodys_death(checker, tmp_path, path):
    with ConsulProcess.keeping(tmp_path / "consul") as consul:
        one = Box(tmp_path, consul.address, checker, "one", workers=2)
        two = Box(tmp_path, consul.address, checker, "two", workers=2)
        async with boxes(one, two):
            running = [await one.submit(path, "--tag", f"n,{n}") for n in ("r1", "r2")]
            claimed = await one.submit(path, "--tag", "n,claimed")
            for job in running:
                await in_state(one.service, job.key, "WORKING")
                await until_entry(consul, job.job_id, state="WORKING")
            consul.kill()
            for each in (one, two):
                await until(lambda each=each: not each.entries.membership.is_in, "out")
            (tmp_path / "gate-r1").touch()
            (tmp_path / "gate-claimed").touch()
            (tmp_path / "gate-private").touch()
            assert (await ended(one.service, running[0].key)).job.outcome == "SUCCEEDED"
            # What Consul was told of may be somebody else's by now; what it was not runs.
            private = await one.submit(path, "--tag", "n,private")
            assert (await one.backend.entry(private.job_id)).state != "DONE"
            assert (await ended(one.service, private.key)).job.outcome == "SUCCEEDED"
            waits = (await one.service.get(claimed.key)).job
            assert (waits.state, waits.reason) == ("QUEUED", "WaitingForWorker")
            assert "waits for Consul" in waits.message
            assert waits in (await one.service.list(JobQuery())).jobs
            assert one.backend.load().waiting == 1
            await asyncio.to_thread(consul.start)

            for job in (running[0], private, claimed):
                entry = await until_entry(consul, job.job_id, state="DONE")
                assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "one")
            assert not one.backend.crew._why
            assert stored(consul, running[1].job_id)["state"] == "WORKING"
            (tmp_path / "gate-r2").touch()
            entry = await until_entry(consul, running[1].job_id, state="DONE")
            assert entry["lastOutcome"] == "SUCCEEDED"

    assert sorted(lines(tmp_path / "ran")) == ["claimed", "private", "r1", "r2"]


async def test_a_box_that_was_cut_off_runs_nothing_that_another_has_taken(
    consul, make, way, tmp_path, path
):
    gate = way()
    one, two = make("one", f"127.0.0.1:{gate.port}", workers=1), make("two")
    async with boxes(one, two):
        working = await one.submit(path, "--tag", "n,c1")
        waiting = await one.submit(path, "--tag", "n,c2")
        await in_state(one.service, working.key, "WORKING")
        await until_entry(consul, working.job_id, state="WORKING")
        gate.set("silent")
        await until_entry(consul, waiting.job_id, lastRunFrom="two")
        await until_entry(consul, working.job_id, state="DONE")
        # Its worker becomes free while it is away, and its queue says that there is a job.
        (tmp_path / "gate-c1").touch()
        await ended(one.service, working.key)
        await until(lambda: one.backend.crew._put_by, "it could not be begun")
        (tmp_path / "gate-c2").touch()
        theirs = await until_entry(consul, waiting.job_id, state="DONE")
        assert (theirs["lastOutcome"], theirs["lastRunFrom"]) == ("SUCCEEDED", "two")
        gate.set("ok")
        given_up = await with_reason(one.service, waiting.key, "Duplicate")
        assert "took it over" in given_up.message
        await until(lambda: not one.entries._writers, "nothing to write")
        await until(lambda: not consul.keys(KEYS.losses(one.entries.membership.box)), "buried")
        # Its late word is not taken: what was decided stays.
        assert stored(consul, working.job_id)["lastOutcome"] == "FAILED"
        assert stored(consul, waiting.job_id) == theirs

    assert sorted(lines(tmp_path / "ran")) == ["c1", "c2"]


async def test_a_run_that_was_closed_meanwhile_is_stopped(consul, make, way, tmp_path, path):
    gate = way()
    one, two = make("one", f"127.0.0.1:{gate.port}"), make("two")
    async with boxes(one, two):
        job = await one.submit(path, "--tag", "n,stopped")
        await in_state(one.service, job.key, "WORKING")
        gate.set("silent")
        await until_entry(consul, job.job_id, state="DONE", lastOutcome="FAILED")
        gate.set("ok")
        lost = await with_reason(one.service, job.key, "Lost")
        (tmp_path / "gate-stopped").touch()
        again = await two.submit(path, "--tag", "n,stopped")
        assert (await ended(two.service, again.key)).job.outcome == "SUCCEEDED"

    assert lost.outcome == "FAILED"
    assert lines(tmp_path / "ran") == ["stopped"]


async def test_a_box_that_is_back_in_time_loses_nothing(consul, make, way, tmp_path, path):
    gate = way()
    one = make("one", f"127.0.0.1:{gate.port}", workers=1)
    two = make("two", patience_seconds=5.0)
    async with boxes(one, two):
        jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("b1", "b2")]
        await in_state(one.service, jobs[0].key, "WORKING")
        gate.set("silent")
        await until(lambda: not is_held(consul, one), "its session has ended")
        gone, box = two.entries.membership.gone_for, one.entries.membership.box
        await until(lambda: box in gone(0.0), "seen")
        gate.set("ok")
        await until(lambda: is_held(consul, one), "it is back")
        await until(lambda: box not in gone(0.0), "seen")
        for name in ("b1", "b2"):
            (tmp_path / f"gate-{name}").touch()
        for job in jobs:
            entry = await until_entry(consul, job.job_id, state="DONE")
            assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "one")


async def test_who_could_not_see_the_others_counts_their_absence_anew(consul, make, way):
    gate = way()
    one, two = make("one"), make("two", f"127.0.0.1:{gate.port}", patience_seconds=60.0)
    async with boxes(one, two):
        await one.die()
        membership, box = two.entries.membership, one.entries.membership.box
        first = await until(lambda: membership.gone_for(0.0).get(box), "seen")
        gate.set("silent")
        await until(lambda: not membership.gone_for(0.0), "forgotten")
        gate.set("ok")
        again = await until(lambda: membership.gone_for(0.0).get(box), "seen again")

        assert again.since > first.since


async def test_a_box_that_is_back_at_the_last_moment_loses_nothing(consul, make, path):
    one, two = make("one", workers=1), make("two", patience_seconds=60.0)
    async with boxes(one, two):
        jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("m1", "m2")]
        await in_state(one.service, jobs[0].key, "WORKING")
        await until_entry(consul, jobs[0].job_id, state="WORKING")
        await one.die()
        box = one.entries.membership.box
        gone = await until(lambda: two.entries.membership.gone_for(0.0).get(box), "seen")
        await one.start()
        await one.until_in()
        # What the other one has seen is not so any more.
        for job in jobs:
            before = stored(consul, job.job_id)
            with pytest.raises(StoreConflictError):
                await Case(two._takeover, job.job_id, box, gone).see_to(is_late=True)
            assert stored(consul, job.job_id) == before
        assert not consul.keys(KEYS.losses(box))


async def test_jobs_of_servers_that_know_no_claims_are_theirs(consul, make, tmp_path, path):
    left = {}
    for name, state, outcome in (("o1", "QUEUED", "WAITING"), ("o2", "WORKING", "RUNNING")):
        (tmp_path / f"gate-{name}").touch()
        job_id = job_id_of(document_of(tmp_path), n=name)
        request = {"jobId": job_id, "jobName": "job", "factfilePath": str(path)}
        request["factfileArgs"] = ["--tag", f"n,{name}"]
        entry = {"state": state, "jobRequest": request, "lastRunFrom": "factotum"}
        left[name] = (job_id, json.dumps(entry | {"lastOutcome": outcome}).encode())
        consul.put(f"{PREFIX}/{job_id}", left[name][1])
    # Called by the name that old servers share.
    one, two = make("factotum", workers=1), make("two")
    async with boxes(one, two):
        mine = await one.submit(path, "--tag", "n,mine")
        await in_state(one.service, mine.key, "WORKING")
        await one.die()
        # Whoever has closed this one has looked at all jobs there are.
        await until_entry(consul, mine.job_id, state="DONE")
        for name, (job_id, value) in left.items():
            assert consul.get(f"{PREFIX}/{job_id}") == value
            with pytest.raises(DuplicateJobError):
                await two.submit(path, "--tag", f"n,{name}")
    for job_id, _ in left.values():
        consul._ask("DELETE", f"/v1/kv/{PREFIX}/{job_id}", b"")

    assert not lines(tmp_path / "ran")


async def test_a_job_that_an_old_server_has_written_over_is_left_to_it(
    consul, make, tmp_path, path
):
    one = make("one", workers=1)
    async with boxes(one):
        first = await one.submit(path, "--tag", "n,w1")
        job = await one.submit(path, "--tag", "n,w2")
        await in_state(one.service, first.key, "WORKING")
        theirs = stored(consul, job.job_id) | {"lastRunFrom": "old"}
        consul.put(f"{PREFIX}/{job.job_id}", json.dumps(theirs).encode())
        for name in ("w1", "w2"):
            (tmp_path / f"gate-{name}").touch()
        given_up = await with_reason(one.service, job.key, "Duplicate")

        assert "another Factotum Server has it" in given_up.message
        assert stored(consul, job.job_id) == theirs
        assert not claim(consul, job.job_id)

    assert lines(tmp_path / "ran") == ["w1"]


async def test_what_consul_has_lost_is_written_again(checker, tmp_path, path):
    with ConsulProcess.fresh(tmp_path / "consul") as consul:
        one = Box(tmp_path, consul.address, checker, "one", workers=1)
        async with boxes(one):
            jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("l1", "l2")]
            await in_state(one.service, jobs[0].key, "WORKING")
            consul.put("test/kept", b"x")
            consul.kill()
            await asyncio.to_thread(consul.start)
            assert consul.get("test/kept") is None
            for job, phase in zip(jobs, ("launched", "waiting"), strict=True):
                await until(
                    lambda job=job, phase=phase: claim(consul, job.job_id).get("phase") == phase,
                    "claimed",
                )
            assert [stored(consul, job.job_id)["state"] for job in jobs] == ["WORKING", "QUEUED"]
            for name in ("l1", "l2"):
                (tmp_path / f"gate-{name}").touch()
            for job in jobs:
                await until_entry(consul, job.job_id, state="DONE", lastOutcome="SUCCEEDED")


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.LAUNCHED])
async def test_a_job_between_its_claim_and_the_file_of_jobs_is_not_lost(
    consul, make, tmp_path, path, phase
):
    name = f"between-{phase}"
    one = make("one")
    async with boxes(one):
        await one.die()
        membership = one.entries.membership
        job_id = job_id_of(document_of(tmp_path), n=name)
        request = {"jobId": job_id, "jobName": "job", "factfilePath": str(path)}
        request["factfileArgs"] = ["--tag", f"n,{name}"]
        entry = {"state": "QUEUED", "jobRequest": request, "lastRunFrom": "one"}
        consul.put(f"{PREFIX}/{job_id}", json.dumps(entry | {"lastOutcome": "WAITING"}).encode())
        left = Claim(
            box=membership.box, host="here", name="one", job=1, place=1, phase=phase
        ).to_json()
        consul.put(KEYS.claim(job_id), left)
        (tmp_path / f"gate-{name}").touch()
        await one.start()
        end = await until_entry(consul, job_id, state="DONE")

    # Nobody knows what became of one that may have run.
    has_run = phase == Phase.LAUNCHED
    assert end["lastOutcome"] == ("FAILED" if has_run else "SUCCEEDED")
    assert lines(tmp_path / "ran") == ([] if has_run else [name])
    assert not claim(consul, job_id)


async def test_a_copy_of_a_boxs_folder_is_no_second_box(consul, make, tmp_path, path):
    one = make("one", workers=1)
    async with boxes(one):
        jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("d1", "d2")]
        await in_state(one.service, jobs[0].key, "WORKING")
        await one.die()
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        await one.start()
        await one.until_in()
        copy = make("copy", workers=1)
        async with copy:
            await until(lambda: copy.entries.membership._is_double, "noticed")
            with pytest.raises(BackendError, match="copy of this data folder"):
                await copy.submit(path, "--tag", "n,d3")
            for name in ("d1", "d2"):
                (tmp_path / f"gate-{name}").touch()
            for job in jobs:
                entry = await until_entry(consul, job.job_id, state="DONE")
                assert entry["lastRunFrom"] == "one"

    assert lines(tmp_path / "ran") == ["d1", "d2"]


async def test_a_server_that_is_started_again_at_once_is_the_same_box(consul, make, tmp_path, path):
    one, two = make("one", workers=1), make("two")
    async with boxes(one, two):
        jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("a1", "a2")]
        await in_state(one.service, jobs[0].key, "WORKING")
        before = one.entries.membership
        await one.die()
        await one.start()
        await one.until_in()
        after = one.entries.membership
        assert (after.box, after.session) == (before.box, before.session)
        for name in ("a1", "a2"):
            (tmp_path / f"gate-{name}").touch()
        for job in jobs:
            entry = await until_entry(consul, job.job_id, state="DONE")
            assert (entry["lastOutcome"], entry["lastRunFrom"]) == ("SUCCEEDED", "one")


async def test_no_runner_is_given_a_job_while_others_may_think_its_box_gone(
    consul, make, way, tmp_path, path
):
    gate = way()
    one = make("one", f"127.0.0.1:{gate.port}", workers=1)
    async with boxes(one):
        jobs = [await one.submit(path, "--tag", f"n,{n}") for n in ("e1", "e2")]
        await in_state(one.service, jobs[0].key, "WORKING")
        ledger = one.backend.ledger
        row = course.launched(ledger.get(jobs[1].key), "ab" * 16)
        await ledger.put(row)
        desk = Desk(
            ledger,
            one.backend._folders,
            one.backend._settings,
            lambda _: None,
            lambda *_: None,
            one.entries.may_start,
        )
        gate.set("silent")
        await until(lambda: not one.entries.membership.is_in, "out", TTL_SECONDS * 20)
        asked = (row.key, (1, row.launch), "cd" * 16, row.token)
        assert isinstance(await desk.claim(*asked), Later)
        gate.set("ok")
        await one.until_in()
        assert isinstance(await desk.claim(*asked), Granted)
        (tmp_path / "gate-e1").touch()
        await ended(one.service, jobs[0].key)
