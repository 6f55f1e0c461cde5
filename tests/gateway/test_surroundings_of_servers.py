"""Servers whose surroundings are not what they should be: outputs, folders, processes that stand.

Real: the command as a process, its runners, pipes and signals.
"""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from support.commands import factotum_command
from support.consul.process import free_ports
from support.server.http import ask
from support.server.rest import Rest
from support.server.running import Server

_SECONDS = 20


class Started(Server):
    """A server by its command itself, in whatever surroundings a shell can make.

    Args:
        before: words of a shell, before the command and on its line.
        behind: words behind it, such as redirections.
    """

    def __init__(self, folder, *options, before="", behind=""):
        self.folder, self.data = folder, folder / "data"
        self.port = free_ports(1)[0]
        self._line = f'{before} exec "$@" {behind}'
        self._argv = [factotum_command(), "server", f"--port={self.port}"]
        self._argv += [f"--data-dir={self.data}", *options]

    def start(self, **streams):
        """Start it, and wait until it answers or has ended."""
        self.process = subprocess.Popen(
            ["sh", "-c", self._line, "sh", *self._argv], cwd=self.folder, **streams
        )
        deadline = time.monotonic() + _SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                return ask(self.port, "GET", "/status").status
            time.sleep(0.02)
        return None

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def said(self):
        """Return what it has said; it has ended, or is about to."""
        out, _ = self.process.communicate()
        return out.decode()

    def end(self, number=signal.SIGTERM):
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(">&- 2>&-", id="closed"),
        pytest.param(">/dev/full 2>&1", id="full"),
    ],
)
def test_a_server_works_whose_output_goes_nowhere(tmp_path, behind):
    with Started(tmp_path, "--log-level=info", behind=behind) as server:
        rest = Rest(server)
        key = rest.submit("true")["key"]
        assert rest.wait(key)["job"]["outcome"] == "SUCCEEDED"


def test_a_server_works_whose_output_nobody_reads_any_more(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    server = Started(tmp_path, "--log-level=info")
    server.start(stdout=writer)
    os.close(writer)
    try:
        assert server.ask("/nothing").status == 404
        assert server.end() == -signal.SIGTERM
    finally:
        server.__exit__()


def test_a_reader_of_the_log_that_does_not_read_holds_up_nothing(tmp_path):
    server = Started(tmp_path, "--log-level=info")
    server.start(stdout=subprocess.PIPE)
    try:
        for number in range(1500):
            assert server.ask(f"/nothing-{number}-{'x' * 200}").status == 404
        assert server.end() == -signal.SIGTERM
        log = server.process.stdout.read(1000)
    finally:
        server.__exit__()

    assert b"listening on" in log


def test_a_request_writes_no_entry_of_its_own_into_the_log(tmp_path):
    entry = "2026-01-01T00:00:00.000000000+00:00 ERROR - FAILED JOB REQ jobId:[x]"
    server = Started(tmp_path)
    server.start(stdout=subprocess.PIPE)
    try:
        forged = f"x\n{entry}\r{entry}\x1b[2J\x9b2J".replace(" ", "%20").replace("\n", "%0a")
        forged = forged.replace("\r", "%0d").replace("\x1b", "%1b").replace("\x9b", "%c2%9b")
        assert server.ask(f"/check?id={forged.replace('+', '%2b')}").status == 400
        server.end()
        log = server.said()
    finally:
        server.__exit__()

    assert len(re.findall(r"(?m)^2026-01-01", log)) == 0
    assert f"\n {entry}\\x0d{entry}\\x1b[2J\\x9b2J'" in log
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", log)


def test_a_working_folder_that_is_gone_is_told(tmp_path):
    server = Started(tmp_path, before="mkdir gone; cd gone; rmdir ../gone;")
    server._argv = [each for each in server._argv if "--data-dir" not in each]
    server.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = server.said()

    assert server.process.returncode == 1
    assert said.startswith("Failed to start server - --data-dir")
    assert said.count("\n") == 1


def make_file(data, *statements):
    with contextlib.closing(sqlite3.connect(data / "jobs.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda data: make_file(data, "PRAGMA user_version = 2"), "its tables are not those"),
        (
            lambda data: make_file(data, "CREATE TABLE jobs (a)", "PRAGMA user_version = 2"),
            "its tables are not those",
        ),
        (lambda data: make_file(data, "PRAGMA user_version = -1"), "newer version"),
        (lambda data: (data / "runners.sock").mkdir(), "no runner could report"),
    ],
    ids=["no tables", "other tables", "no version", "no socket"],
)
def test_a_data_folder_that_cannot_be_used_is_told_in_a_line(tmp_path, make, told):
    (tmp_path / "data").mkdir()
    make(tmp_path / "data")
    server = Started(tmp_path)
    server.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = server.said()

    assert server.process.returncode == 1
    assert told in said
    assert said.count("\n") == 1


def test_what_is_kept_of_jobs_is_their_owners_alone(tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    with Started(tmp_path, before="umask 0;") as server:
        rest = Rest(server)
        rest.wait(rest.submit("true")["key"])
        modes = {
            path.name: path.stat().st_mode & 0o077
            for path in (tmp_path / "data").iterdir()
            if path.is_file()
        }

    assert {"jobs.sqlite", "jobs.sqlite-wal", "runners.log", "server.lock"} <= modes.keys()
    assert not any(modes.values())


def test_a_server_whose_file_of_jobs_was_moved_away_mixes_nothing_up(tmp_path):
    with Started(tmp_path) as server:
        rest = Rest(server)
        old = rest.submit("echo old;", name="old")["key"]
        rest.wait(old)
        running = rest.submit(f"while ! [ -e {tmp_path}/gate ]; do sleep 0.05; done;", name="runs")
        rest.wait(running["key"], "WORKING")
        server.end()
        for path in (tmp_path / "data").glob("jobs.sqlite*"):
            path.unlink()
        server.start()
        new = [rest.submit(f"echo new {number};", name="new")["key"] for number in range(3)]
        logs = []
        for key in new:
            assert rest.wait(key)["job"]["outcome"] == "SUCCEEDED"
            logs.append(rest.get(f"/v1/jobs/{key}/log?task=0").body)
        (tmp_path / "gate").touch()

    assert logs == [b"new 0\n", b"new 1\n", b"new 2\n"]


@pytest.mark.parametrize("name", ["server.lock", "jobs.sqlite"])
def test_a_second_server_is_refused_though_a_file_of_the_first_was_swept_away(tmp_path, name):
    with Started(tmp_path) as server:
        (tmp_path / "data" / name).unlink()
        second = Started(tmp_path)
        second.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = second.said()
        assert server.ask("/status").status == 200

    assert second.process.returncode == 1
    assert "another server uses" in said


def children(pid):
    """Find a process's own."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_a_server_ends_though_what_starts_its_runners_stands(tmp_path):
    with Started(tmp_path) as server:
        rest = Rest(server)
        job = rest.submit(f"while ! [ -e {tmp_path}/gate ]; do sleep 0.05; done;")
        rest.wait(job["key"], "WORKING")
        for pid in children(server.process.pid):
            os.kill(pid, signal.SIGSTOP)
        assert server.end() == -signal.SIGTERM
        # Its runners are no part of it.
        server.start()
        (tmp_path / "gate").touch()
        assert rest.wait(job["key"])["job"]["outcome"] == "SUCCEEDED"


def test_a_runner_that_stands_is_cancelled_all_the_same(tmp_path):
    with Started(tmp_path) as server:
        rest = Rest(server)
        key = rest.submit("sleep 600")["key"]
        rest.wait(key, "WORKING")
        lock = tmp_path / "data" / "attempts" / "0" / f"{key}-1" / "lock"
        os.kill(int(lock.read_text()), signal.SIGSTOP)
        assert rest.post(f"/v1/jobs/{key}/cancel", {}).status == 200
        assert rest.wait(key)["job"]["reason"] == "Cancelled"
