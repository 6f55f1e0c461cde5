"""The local backend's runners: who may claim, and what becomes of those that end without a word.

Real: the backend, its socket, runners as processes, SIGKILL, and a small disk that is full.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from factotum.core.wire import addresses
from factotum.jobs.errors import BackendError
from factotum.jobs.local.running.folders import Folders
from factotum.jobs.local.running.runners import Runners
from factotum.jobs.service import JobService
from factotum.jobs.views import JobQuery, LogQuery
from factotum.pod.claiming import EXIT_UNSTARTED
from support.disks import fill, small_disk
from support.server.backends import asking, ended, first_task_done, in_state, local
from support.server.running import factfile

OTHER = "f" * 32


def runner_of(folder, key, attempt=1):
    """Find the process that holds an attempt's lock."""
    lock = folder / "data" / "attempts" / "0" / f"{key}-{attempt}" / "lock"
    wanted = f"{lock.stat().st_dev >> 8:02x}:{lock.stat().st_dev & 255:02x}:{lock.stat().st_ino}"
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "FLOCK" in fields and fields[5] == wanted:
            return int(fields[4])
    raise AssertionError(f"nobody holds {lock}")


async def post(folder, path, body, token):
    """Ask at the runners' socket by hand."""
    reader, writer = await asyncio.open_unix_connection(folder / "data" / "runners.sock")
    with contextlib.closing(writer):
        payload = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
        answer = await reader.readuntil(b"\r\n\r\n")
        return int(answer.split()[1])


async def test_a_runner_that_is_killed_leaves_its_job_failed(checker, tmp_path, waiting):
    document, release = waiting
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await in_state(service, job.key, "WORKING")
        await first_task_done(service, job.key)
        os.kill(runner_of(tmp_path, job.key), signal.SIGKILL)
        end = await ended(service, job.key)
        release()

    assert (end.job.outcome, end.job.reason) == ("FAILED", "Lost")
    assert "signal 9" in end.job.message
    assert [each.state for each in end.tasks] == ["SUCCEEDED", "FAILED", "WAITING"]


async def test_a_run_that_was_broken_off_is_taken_up_again_if_so_configured(
    checker, tmp_path, waiting
):
    document, release = waiting
    async with local(tmp_path, resumes=True) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await in_state(service, job.key, "WORKING")
        await first_task_done(service, job.key)
        os.kill(runner_of(tmp_path, job.key), signal.SIGKILL)
        release()
        end = await ended(service, job.key)

    assert (end.job.outcome, end.job.attempt) == ("SUCCEEDED", 2)
    assert (tmp_path / "ran").read_text() == "first\nthird\n"


async def test_a_runner_that_dies_while_no_server_runs_is_noticed_by_the_next(
    checker, tmp_path, waiting
):
    document, release = waiting
    async with local(tmp_path) as backend:
        job = await JobService(backend, checker).submit(asking(document))
        await in_state(JobService(backend, checker), job.key, "WORKING")
    os.kill(runner_of(tmp_path, job.key), signal.SIGKILL)
    async with local(tmp_path) as backend:
        end = await ended(JobService(backend, checker), job.key)
    release()

    assert (end.job.outcome, end.job.reason) == ("FAILED", "Lost")


async def test_a_verdict_that_no_server_heard_is_taken_by_the_next(checker, tmp_path, waiting):
    document, release = waiting
    async with local(tmp_path) as backend:
        job = await JobService(backend, checker).submit(asking(document))
        await in_state(JobService(backend, checker), job.key, "WORKING")
    release()
    async with asyncio.timeout(20):
        with contextlib.suppress(AssertionError):
            while runner_of(tmp_path, job.key):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
    async with local(tmp_path) as backend:
        end = await ended(JobService(backend, checker), job.key)

    assert end.job.outcome == "SUCCEEDED"
    assert [each.state for each in end.tasks] == ["SUCCEEDED"] * 3
    assert (tmp_path / "ran").read_text() == "first\nthird\n"


ALONE = 10.0
"""Seconds: what a runner that is told to end takes at most, if its tasks end at once and nobody
takes its report; it tries for two."""


async def until_ended(pid, seconds=ALONE):
    async with asyncio.timeout(seconds):
        while not is_zombie(pid):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("is_there", [True, False], ids=["a deaf socket", "no socket"])
async def test_a_runner_that_is_told_to_end_while_no_server_runs_leaves_its_verdict_and_ends(
    checker, tmp_path, waiting, is_there
):
    document, release = waiting
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await first_task_done(service, job.key)
        runner = runner_of(tmp_path, job.key)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as deaf:
        path = tmp_path / "data" / "runners.sock"
        path.unlink(missing_ok=True)
        if (
            is_there
        ):  # what a server leaves that is stopped, not ended: it takes calls and is silent
            deaf.bind(os.fspath(path))
            deaf.listen()
        os.kill(runner, signal.SIGTERM)
        await until_ended(runner)
    async with local(tmp_path) as backend:
        end = await ended(JobService(backend, checker), job.key)
    release()

    assert (end.job.outcome, end.job.reason) == ("FAILED", "Interrupted")
    assert [each.state for each in end.tasks] == ["SUCCEEDED", "FAILED", "SKIPPED"]
    assert (tmp_path / "ran").read_text() == "first\n"


async def test_a_runner_that_has_just_been_made_hears_that_it_is_to_end(tmp_path):
    folders, ends = Folders(tmp_path), asyncio.Queue()
    runners = Runners(
        lambda _name, status: ends.put_nowait(status), ends.put_nowait, tmp_path / "errors"
    )
    for number in range(1, 30):
        lock = folders.prepare(number, 1, "token") / "lock"
        lock.touch()
        with lock.open("rb") as held:
            # For 0.2 s it asks for this, and does nothing else; we may be slow to find it.
            fcntl.flock(held, fcntl.LOCK_EX)
            await runners.start(f"{number}-1-1", lock.parent, {})
            nursery = runners._process.pid
            children = Path(f"/proc/{nursery}/task/{nursery}/children")
            while ends.empty():
                if found := children.read_text().split():
                    os.kill(int(found[0]), signal.SIGTERM)
                    break
                await asyncio.sleep(0.002)
            async with asyncio.timeout(20):
                status = await ends.get()
        if status == -signal.SIGTERM:
            break
        assert status == EXIT_UNSTARTED
    await runners.shut_down()
    assert status == -signal.SIGTERM, "none of them heard it"


async def test_the_end_of_what_starts_runners_ends_no_job(checker, tmp_path, waiting):
    document, release = waiting
    async with local(tmp_path, workers=1) as backend:
        service = JobService(backend, checker)
        first = await service.submit(asking(document))
        second = await service.submit(asking(factfile("echo")))
        await in_state(service, first.key, "WORKING")
        nursery = backend.crew._runners._process
        nursery.kill()
        nursery.wait()
        release()

        assert (await ended(service, first.key)).job.outcome == "SUCCEEDED"
        assert (await ended(service, second.key)).job.outcome == "SUCCEEDED"


AT_ONCE = 5.0
"""Seconds: many times what an order takes, and half of what a quiet runner's reports are apart."""


@pytest.mark.parametrize("restarted", [False, True], ids=["own", "of an earlier server"])
@pytest.mark.parametrize(("order", "state"), [("suspend", "QUEUED"), ("cancel", "DONE")])
async def test_a_quiet_runner_hears_an_order_at_once(
    checker, tmp_path, waiting, order, state, restarted
):
    document, release = waiting
    async with contextlib.AsyncExitStack() as stack:
        service = JobService(await stack.enter_async_context(local(tmp_path)), checker)
        job = await service.submit(asking(document))
        await first_task_done(service, job.key)  # it has just reported
        if restarted:
            await stack.aclose()
            service = JobService(await stack.enter_async_context(local(tmp_path)), checker)
        runner = runner_of(tmp_path, job.key)
        async with asyncio.timeout(AT_ONCE):
            await getattr(service, order)(job.key)
            await in_state(service, job.key, state)
            while Path(f"/proc/{runner}").exists() and not is_zombie(runner):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        release()

    assert (tmp_path / "ran").read_text() == "first\n"


def is_zombie(pid):
    """Whether nobody has buried a process yet that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


async def test_a_process_that_is_no_runner_any_more_is_not_signalled(tmp_path):
    folders = Folders(tmp_path)
    lock = folders.prepare(1, 1, "token") / "lock"
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        lock.write_text(f"{bystander.pid:010}")
        folders.tell_to_stop(1, 1)  # nobody holds it locked
        for text in ("", "0", "-1", "x", "9" * 30, "²"):
            lock.write_text(text)
            with lock.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                folders.tell_to_stop(1, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bystander.wait(), 0.5)
        lock.write_text(f"{bystander.pid:010}")
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            folders.tell_to_stop(1, 1)
        assert await bystander.wait() == -signal.SIGTERM
    finally:
        if bystander.returncode is None:
            bystander.kill()
            await bystander.wait()


async def test_nobody_else_may_claim_or_report(checker, tmp_path, waiting):
    document, release = waiting
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await in_state(service, job.key, "WORKING")
        token = (tmp_path / "data/attempts/0" / f"{job.key}-1" / "token").read_text()
        claim, body = addresses.claim_path(job.key, "1", "1"), {"claim": OTHER}

        assert await post(tmp_path, claim, body, token) == 409
        assert await post(tmp_path, claim, body, "0" * 32) == 410
        assert await post(tmp_path, addresses.claim_path(job.key, "1", "2"), body, token) == 410
        assert await post(tmp_path, addresses.claim_path("77", "1", "1"), body, token) == 410
        assert await post(tmp_path, claim, {"claim": "../x"}, token) == 400
        assert await post(tmp_path, claim, [], token) == 400
        assert await post(tmp_path, "/v1/elsewhere", body, token) == 404
        assert await post(tmp_path, addresses.report_path(job.key, "1"), {}, token) == 400
        release()
        assert (await ended(service, job.key)).job.outcome == "SUCCEEDED"


async def test_a_job_whose_runner_cannot_be_started_says_why_it_waits(checker, tmp_path):
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        in_the_way = tmp_path / "data" / "attempts" / "0"
        in_the_way.parent.mkdir(exist_ok=True)
        in_the_way.write_text("")
        job = await service.submit(asking(factfile("echo")))
        async with asyncio.timeout(20):
            while not (waits := (await service.get(job.key)).job).message:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        assert (waits.state, waits.reason) == ("QUEUED", "WaitingForWorker")
        assert waits.message.startswith("it cannot be started yet: ")
        assert str(in_the_way) in waits.message
        in_the_way.unlink()

        end = await ended(service, job.key)
        assert (end.job.outcome, end.job.message) == ("SUCCEEDED", "1/1 tasks run")
        assert not backend.crew._why


async def test_a_long_path_is_no_hindrance(checker, tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    async with local(deep) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(factfile("echo")))

        assert (await ended(service, job.key)).job.outcome == "SUCCEEDED"


async def test_of_much_output_the_beginning_and_the_end_are_kept(checker, tmp_path):
    document = factfile("seq 1 20000;")
    async with local(tmp_path, log_bytes=16384) as backend:
        service = JobService(backend, checker)
        job = await service.submit(asking(document))
        await ended(service, job.key)
        begin = await service.log(job.key, LogQuery(task=0, limit=1 << 20))
        rest = await service.log(job.key, LogQuery(task=0, offset=begin.offset + len(begin.data)))
        files = (tmp_path / "data/attempts/0" / f"{job.key}-1").glob("0@*.log")
        kept = sum(path.stat().st_size for path in files)

    assert begin.data.startswith(b"1\n2\n")
    assert rest.data.endswith(b"\n20000\n")
    assert rest.size == sum(len(f"{n}\n") for n in range(1, 20001))
    assert kept <= 16384
    assert rest.dropped == rest.size - kept
    # The place of each byte is told as if nothing had been dropped.
    number = int(rest.data.partition(b"\n")[0])
    assert rest.offset == sum(len(f"{n}\n") for n in range(1, number))


async def until_gone(service, folder):
    while (await service.list(JobQuery())).total or list(folder.iterdir()):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)


async def test_jobs_that_ended_long_ago_are_removed(checker, tmp_path):
    async with local(tmp_path) as backend:
        job = await JobService(backend, checker).submit(asking(factfile("echo")))
        await ended(JobService(backend, checker), job.key)
    async with local(tmp_path, keep_days=1e-9) as backend:
        service = JobService(backend, checker)
        async with asyncio.timeout(20):
            await until_gone(service, tmp_path / "data" / "attempts" / "0")
        again = await service.submit(asking(factfile("echo")))

    assert int(again.key) > int(job.key)
    assert again.sequence > job.sequence


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 4 * 1024 * 1024) as folder:
        yield folder


async def test_a_full_disk_refuses_submissions_and_loses_nothing(checker, disk, waiting):
    document, release = waiting
    async with local(disk) as backend:
        service = JobService(backend, checker)
        running = await service.submit(asking(document))
        await in_state(service, running.key, "WORKING")
        filler = fill(disk)
        many = [asking(factfile(f"echo {'x' * 5000}{number}")) for number in range(50)]
        refused = await asyncio.gather(*map(service.submit, many), return_exceptions=True)
        told = [str(each) for each in refused if isinstance(each, BackendError)]
        assert any("full" in each for each in told)
        release()
        await asyncio.sleep(0.5)
        filler.unlink()

        assert (await ended(service, running.key)).job.outcome == "SUCCEEDED"
        later = await service.submit(asking(factfile("echo later")))
        assert (await ended(service, later.key)).job.outcome == "SUCCEEDED"
        check = backend._database.reader.execute("PRAGMA integrity_check").fetchone()[0]
    assert check == "ok"


async def test_a_job_that_is_stopped_at_any_moment_of_its_start_runs_nothing_after(
    checker, tmp_path
):
    async with local(tmp_path) as backend:
        service = JobService(backend, checker)
        for moment in range(12):
            mark = tmp_path / f"ran-{moment}"
            document = factfile(f"echo begun >> {mark};", "sleep 0.3;", f"echo over >> {mark};")
            job = await service.submit(asking(document))
            await asyncio.sleep(moment * 0.01)
            stopped = await service.cancel(job.key)
            end = await ended(service, job.key)
            before = mark.exists()
            await asyncio.sleep(0.3)

            assert (end.job.outcome, end.job.reason) == ("FAILED", "Cancelled"), stopped
            assert mark.exists() == before
            assert not before or "over" not in mark.read_text()
        assert service.load().active == 0
