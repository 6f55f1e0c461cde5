"""What every backend does: one set of tests, run against each of them.

Real: the checking processes, the backend, its runners and their shells; on Kubernetes the API
server with our chart, the operator's process, and a test node with the real runner.
"""

import asyncio
import json

import pytest

from factotum.jobs.errors import (
    DrainingError,
    DryRunError,
    DuplicateJobError,
    EmptyFieldError,
    FactfileMissingError,
    NotPossibleError,
    QueueFullError,
    UnknownJobError,
)
from factotum.jobs.service import Appended, JobService
from factotum.jobs.views import JobQuery, LogQuery, Submission, Webhook
from support.server.backends import asking, ended, first_task_done, in_state, with_reason
from support.server.running import factfile, job_id_of

TWO = factfile("echo one;", "echo two; exit 0;")
FAILS = factfile("echo fine;", "exit 3;", "echo never;")


async def test_a_job_runs_to_its_end(service):
    job = await service.submit(asking(TWO, "--tag", "a,b", name="two"))
    end = await ended(service, job.key)

    assert job.job_id == job_id_of(TWO, a="b")
    assert (end.job.outcome, end.job.reason, end.job.attempt) == ("SUCCEEDED", "Succeeded", 1)
    assert (end.job.name, end.job.tags, end.job.tasks_done) == ("two", {"a": "b"}, 2)
    assert [(each.name, each.state, each.return_code) for each in end.tasks] == [
        ("task 0", "SUCCEEDED", 0),
        ("task 1", "SUCCEEDED", 0),
    ]
    # A cluster tells whole seconds.
    assert job.submitted_ms // 1000 * 1000 <= end.job.started_ms <= end.job.ended_ms
    detail = await service.get(job.key)
    assert json.loads(detail.factfile) == TWO
    assert detail.args == ("--tag", "a,b")
    assert [each.reason for each in detail.attempts] == ["Succeeded"]


async def test_a_job_that_fails_tells_which_task(service):
    job = await service.submit(asking(FAILS))
    end = await ended(service, job.key)

    assert (end.job.outcome, end.job.reason) == ("FAILED", "TaskFailed")
    assert [each.state for each in end.tasks] == ["SUCCEEDED", "FAILED", "SKIPPED"]
    assert (end.job.tasks_total, end.job.tasks_done, end.job.tasks_failed) == (3, 3, 1)
    assert end.tasks[1].return_code == 3
    assert "'task 1'" in end.job.message


async def test_an_entry_is_in_the_originals_form(service):
    job = await service.submit(asking(TWO, "--tag", "a,b", name="two"))
    await ended(service, job.key)
    entry = await service.entry(job.job_id)

    assert entry.document() == {
        "state": "DONE",
        "jobRequest": {
            "jobId": job.job_id,
            "jobName": "two",
            "factfilePath": "inline",
            "factfileArgs": ["--tag", "a,b"],
        },
        "lastRunFrom": "box",
        "lastOutcome": "SUCCEEDED",
    }
    assert await service.entry("unknown") is None


@pytest.mark.parametrize("make_backend", ["local"], indirect=True)  # a Pod's: tests/node
async def test_output_is_told_by_task_and_whole(service):
    job = await service.submit(asking(TWO))
    await ended(service, job.key)
    whole = await service.log(job.key, LogQuery())
    first = await service.log(job.key, LogQuery(task=0))
    end = await service.log(job.key, LogQuery(task=1, offset=-2))

    assert (first.data, first.size, first.complete) == (b"one\n", 4, True)
    assert (end.data, end.offset) == (b"o\n", 2)
    assert b"[task 0] one\n" in whole.data
    for query in (LogQuery(task=2), LogQuery(attempt=2), LogQuery(attempt=0)):
        with pytest.raises(UnknownJobError):
            await service.log(job.key, query)


async def test_the_first_check_that_fails_answers(service):
    service.draining = True
    with pytest.raises(DrainingError):
        await service.submit(Submission(name=""))
    service.draining = False
    with pytest.raises(EmptyFieldError, match="name"):
        await service.submit(Submission(name=""))
    with pytest.raises(EmptyFieldError, match="factfile_path"):
        await service.submit(Submission(name="x"))
    with pytest.raises(FactfileMissingError):
        await service.submit(Submission(name="x", factfile_path="/no/where", args=("--bogus",)))
    with pytest.raises(DryRunError, match="zz"):
        await service.submit(asking(TWO, "--start", "zz"))
    assert (await service.list(JobQuery())).total == 0


async def test_a_job_id_is_at_work_once(service, waiting):
    document, release = waiting
    job = await service.submit(asking(document))
    with pytest.raises(DuplicateJobError):
        await service.submit(asking(document))
    release()
    await ended(service, job.key)
    again = await service.submit(asking(document))

    assert (again.job_id, again.key != job.key) == (job.job_id, True)
    await ended(service, again.key)
    assert (await service.find(job.job_id)).key == again.key


async def test_twenty_at_once_and_one_job_id(service, waiting):
    document, release = waiting
    answers = await asyncio.gather(
        *(service.submit(asking(document)) for _ in range(20)), return_exceptions=True
    )
    release()

    assert [isinstance(each, DuplicateJobError) for each in answers].count(False) == 1


async def test_no_more_run_than_there_are_workers_and_no_more_wait_than_may(
    make_backend, checker, tmp_path, waiting
):
    document, release = waiting
    async with make_backend(tmp_path, workers=2, max_waiting=2) as backend:
        service = JobService(backend, checker)
        jobs = [await service.submit(asking(document, "--tag", f"n,{n}")) for n in range(4)]
        with pytest.raises(QueueFullError):
            await service.submit(asking(document, "--tag", "n,5"))
        # A cluster's clock has whole seconds: of those that came in one, any may go first.
        for _ in range(600):
            if [job.state for job in await seen(service, jobs)].count("WORKING") == 2:
                break
            await asyncio.sleep(0.1)
        load = service.load()
        assert (load.workers, load.active, load.waiting, load.max_waiting) == (2, 2, 2, 2)
        places = {job.key: job.position for job in await seen(service, jobs)}
        assert sorted(place or 0 for place in places.values()) == [0, 0, 1, 2]
        release()
        ends = {job.key: (await ended(service, job.key)).job for job in jobs}

    assert [job.outcome for job in ends.values()] == ["SUCCEEDED"] * 4
    first, second = sorted(filter(places.get, places), key=places.get)
    # Both workers come free at one moment.
    assert ends[first].started_ms < ends[second].started_ms + 100


async def seen(service, jobs):
    return [(await service.get(job.key)).job for job in jobs]


async def test_a_cancelled_job_ends_and_its_task_with_it(service, waiting, tmp_path):
    document, release = waiting
    job = await service.submit(asking(document))
    await in_state(service, job.key, "WORKING")
    await service.cancel(job.key)
    end = await ended(service, job.key)
    release()

    assert (end.job.outcome, end.job.reason) == ("FAILED", "Cancelled")
    ran = tmp_path / "ran"  # the order may come before the first task has begun
    assert not ran.exists() or "third" not in ran.read_text()
    with pytest.raises(NotPossibleError):
        await service.cancel(job.key)


async def test_a_suspended_job_goes_on_where_it_was(service, waiting, tmp_path):
    document, release = waiting
    job = await service.submit(asking(document))
    await first_task_done(service, job.key)
    await service.suspend(job.key)
    suspended = await in_state(service, job.key, "QUEUED")
    assert (suspended.reason, suspended.position) == ("Suspended", None)
    assert service.load().active == 0
    with pytest.raises(NotPossibleError):
        await service.suspend(job.key)
    with pytest.raises(DuplicateJobError):
        await service.submit(asking(document))
    release()
    await service.resume(job.key)
    end = await ended(service, job.key)

    assert (end.job.outcome, end.job.attempt) == ("SUCCEEDED", 2)
    assert (tmp_path / "ran").read_text() == "first\nthird\n"


async def test_a_job_that_waits_can_be_suspended_and_cancelled(
    make_backend, checker, tmp_path, waiting
):
    document, release = waiting
    async with make_backend(tmp_path, workers=1) as backend:
        service = JobService(backend, checker)
        first = await service.submit(asking(document))
        await in_state(service, first.key, "WORKING")
        held = await service.submit(asking(TWO))
        unwanted = await service.submit(asking(FAILS))
        await service.suspend(held.key)
        await service.cancel(unwanted.key)
        assert (await with_reason(service, held.key, "Suspended")).state == "QUEUED"
        assert (await with_reason(service, unwanted.key, "Cancelled")).outcome == "FAILED"
        release()
        await ended(service, first.key)
        assert (await service.get(held.key)).job.state == "QUEUED"
        await service.resume(held.key)
        end = await ended(service, held.key)

    assert (end.job.outcome, end.job.attempt) == ("SUCCEEDED", 1)


async def test_a_failed_job_is_resumed_without_repeating_what_succeeded(service, tmp_path):
    flag = tmp_path / "flag"
    document = factfile(f"echo first >> {tmp_path}/ran;", f"test -e {flag};")
    job = await service.submit(asking(document))
    assert (await ended(service, job.key)).job.outcome == "FAILED"
    flag.touch()
    resumed = await service.resume(job.key)
    end = await ended(service, job.key)

    assert (resumed.state, resumed.attempt) == ("QUEUED", 2)
    assert (end.job.outcome, end.job.attempt) == ("SUCCEEDED", 2)
    assert (tmp_path / "ran").read_text() == "first\n"
    attempts = (await service.get(job.key)).attempts
    assert [(each.number, each.reason) for each in attempts] == [
        (1, "TaskFailed"),
        (2, "Succeeded"),
    ]
    with pytest.raises(NotPossibleError):
        await service.resume(job.key)


async def test_lists_are_filtered_and_paged(service):
    jobs = [await service.submit(asking(TWO, "--tag", f"n,{n}", name=f"job {n}")) for n in range(5)]
    failed = await service.submit(asking(FAILS, name="Broken"))
    for job in (*jobs, failed):
        await ended(service, job.key)

    async def keys(**query):
        return [job.key for job in (await service.list(JobQuery(**query))).jobs]

    newest_first = [failed.key, *(job.key for job in reversed(jobs))]
    assert await keys() == newest_first
    assert await keys(outcomes=("FAILED",)) == [failed.key]
    assert await keys(states=("QUEUED", "WORKING")) == []
    assert await keys(text="broKEN") == [failed.key]
    assert await keys(text=jobs[3].job_id[:12]) == [jobs[3].key]
    assert await keys(text="%") == []
    assert await keys(tag=("n", "2")) == [jobs[2].key]
    first = await service.list(JobQuery(limit=4))
    rest = await service.list(JobQuery(limit=4, cursor=first.cursor))
    assert [job.key for job in (*first.jobs, *rest.jobs)] == newest_first
    assert (first.total, rest.cursor) == (6, "")


async def test_changes_are_told_from_where_one_left(service, waiting):
    document, release = waiting
    job = await service.submit(asking(document))
    seen = []
    async with asyncio.timeout(60):
        async for change in service.watch(since=0):
            seen.append(change)
            if change.job.state == "WORKING":
                break
    release()
    await ended(service, job.key)
    async with asyncio.timeout(60):
        async for change in service.watch(since=seen[-1].sequence):
            seen.append(change)
            if change.job.state == "DONE":
                break

    sequences = [each.sequence for each in seen]
    assert sequences == sorted(set(sequences))
    assert seen[-1].job.outcome == "SUCCEEDED"


@pytest.mark.parametrize("key", ["0", "99", "x", "../1", "1e3", "-1", "9" * 30, "²", ""])
async def test_a_key_that_nobody_has_is_told(service, key):
    for question in (
        service.get(key),
        service.log(key, LogQuery()),
        service.cancel(key),
        service.suspend(key),
        service.resume(key),
    ):
        with pytest.raises(UnknownJobError):
            await question


async def test_the_servers_arguments_come_behind_unless_the_job_has_them(
    make_backend, checker, tmp_path
):
    appended = Appended(
        webhook=Webhook(url="http://127.0.0.1:9/", max_stdouterr_size=5), no_colour=True
    )
    async with make_backend(tmp_path) as backend:
        service = JobService(backend, checker, appended)
        request = await service.check(asking(TWO, "--no-colour", "--max-stdouterr-size=7"))

    assert request.args == (
        "--no-colour",
        "--max-stdouterr-size=7",
        "--webhook",
        "http://127.0.0.1:9/",
    )
    assert request.options.webhook == Webhook(url="http://127.0.0.1:9/", max_stdouterr_size=7)


async def test_a_job_for_another_host_is_a_success_that_did_nothing(service, tmp_path):
    document = factfile(f"echo >> {tmp_path}/ran;")
    job = await service.submit(asking(document, "--constraint", "host,nowhere.invalid"))
    end = await ended(service, job.key)

    assert (end.job.outcome, end.job.reason) == ("SUCCEEDED", "HostConstraintNotMatched")
    assert not (tmp_path / "ran").exists()
