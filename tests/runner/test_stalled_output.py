"""A reader that stops reading, and a disk without room: the run goes on. Whole real runs.

What the reader does not take stays with the task as far as it can, in its pipe.
"""

import contextlib
import itertools
import os
import pty
import signal
import socket
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest

from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.runner import outlet as outlets
from factotum.runner.console import Console
from factotum.runner.runner import Runner
from support.builders.factfiles import factfile, task
from support.commands import clean_environ, factotum_command

FLOOD = "yes out | head -c 30000000; touch flooded"
MIB = 1 << 20


class Stalled:
    """A run whose standard output is not read until `read`."""

    def __init__(self, folder, tasks, out, args=(), err=None):
        self.folder = folder
        (folder / "job").write_text(factfile("x", *tasks))
        self._err = (folder / "err").open("wb")
        self.process = subprocess.Popen(
            [factotum_command(), "run", "job", "--no-colour", *args],
            cwd=folder,
            env=clean_environ(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=self._err if err is None else err,
        )

    def err(self):
        return (self.folder / "err").read_text()

    def until(self, is_so, seconds=20):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, self.err()
            time.sleep(0.02)

    def peak(self):
        """Return the most memory that the runner has had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def close(self):
        self.process.kill()
        self.process.wait()
        self._err.close()


def read_all(fd):
    parts = []
    while True:
        try:
            part = os.read(fd, MIB)
        except OSError:
            part = b""  # how a terminal ends
        if not part:
            return b"".join(parts)
        parts.append(part)


def make_pipe():
    return os.pipe()


def make_socket():
    ours, other = socket.socketpair()
    return ours.detach(), other.detach()


def make_terminal():
    ours, other = pty.openpty()
    attributes = termios.tcgetattr(other)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(other, termios.TCSANOW, attributes)
    return ours, other


@pytest.fixture(params=[make_pipe, make_socket, make_terminal], ids=["pipe", "socket", "terminal"])
def ends(request):
    """The ends of something that one can stop to read."""
    both = request.param()
    yield both
    for fd in both:
        with contextlib.suppress(OSError):  # the test may have
            os.close(fd)


@pytest.fixture
def run(tmp_path):
    runs = []

    def start(tasks, out, **options):
        runs.append(Stalled(tmp_path, tasks, out, **options))
        return runs[-1]

    yield start
    for each in runs:
        each.close()


def test_other_tasks_go_on_and_nothing_is_lost(run, ends):
    ours, other = ends
    stalled = run(
        [
            task("flood", FLOOD),
            task("quiet", "sleep 0.5"),
        ],
        other,
    )
    stalled.until(lambda: "'quiet': succeeded after" in stalled.err())
    time.sleep(0.3)
    peak = stalled.peak()
    is_flooded = (stalled.folder / "flooded").exists()
    os.close(other)

    shown = read_all(ours)

    assert stalled.process.wait() == 0
    assert not is_flooded
    assert peak < 40
    assert shown.count(b"[flood] out\n") == 30_000_000 // 4
    assert shown.rpartition(b"2/2 tasks run in")[1]


def test_a_signal_ends_the_tasks_and_the_runner(run, ends):
    stalled = run(
        [task("flood", "trap 'touch told; exit 0' TERM; yes | head -c 900000; sleep 9 & wait")],
        ends[1],
    )
    time.sleep(0.8)
    begun = time.monotonic()
    stalled.process.send_signal(signal.SIGTERM)

    assert stalled.process.wait(5) == 0 or stalled.process.returncode == 2
    assert time.monotonic() - begun < 5
    stalled.until((stalled.folder / "told").exists, 1)


def test_the_other_stream_goes_on(run):
    ours, other = make_pipe()
    stalled = run([task("a", FLOOD), task("b", "sleep 0.3; echo fine >&2; sleep 0.1")], other)

    stalled.until(lambda: "[b] fine" in stalled.err())
    stalled.until(lambda: "'b': succeeded" in stalled.err())
    for fd in (ours, other):
        os.close(fd)


def test_the_end_of_a_task_shows_though_its_last_words_do_not(run):
    ours, other = make_pipe()
    tasks = [task("first", "seq 1 28000"), task("next", "sleep 0.2; seq 1 3000", after=["first"])]
    stalled = run(tasks, other, args=("--verdict", "verdict"))
    os.close(other)

    stalled.until(lambda: "'next': succeeded" in stalled.err())
    stalled.until((stalled.folder / "verdict").exists)
    time.sleep(0.2)
    is_waiting = stalled.process.poll() is None

    shown = read_all(ours)
    os.close(ours)
    assert is_waiting
    assert stalled.process.wait() == 0
    assert shown.count(b"[first]") == 28_000
    assert shown.index(b"[next] 1\n") > shown.index(b"[first] 28000\n")


def test_no_further_task_starts_while_very_much_is_kept(run):
    ours, other = make_pipe()
    loud = "head -c 60000 /dev/zero | tr '\\0' z; echo >> started"
    names = [f"t{number}" for number in range(150)]
    tasks = [
        task(name, loud, after=names[position - 1 : position] if position else ())
        for position, name in enumerate(names)
    ]
    stalled = run(tasks, other)
    os.close(other)
    started = stalled.folder / "started"
    stalled.until(lambda: started.exists() and len(started.read_text()) > 60)
    time.sleep(1)
    count, peak = len(started.read_text()), stalled.peak()
    time.sleep(0.3)
    assert len(started.read_text()) == count

    shown = read_all(ours)
    os.close(ours)

    assert stalled.process.wait() == 0
    assert count < 100
    assert peak < 40
    assert shown.count(b"z") == 150 * 60_000


def test_a_run_that_is_held_back_ends_by_a_signal(run):
    ours, other = make_pipe()
    loud = "head -c 60000 /dev/zero | tr '\\0' z; echo >> started"
    names = [f"t{number}" for number in range(150)]
    before = [(), *([name] for name in names)]
    stalled = run(
        [task(name, loud, after=deps) for name, deps in zip(names, before, strict=False)], other
    )
    started = stalled.folder / "started"
    stalled.until(lambda: started.exists() and len(started.read_text()) > 60)
    time.sleep(0.7)
    begun = time.monotonic()
    stalled.process.send_signal(signal.SIGTERM)

    assert stalled.process.wait(10) == 2
    assert time.monotonic() - begun < 5
    for fd in (ours, other):
        os.close(fd)


def test_heartbeats_go_on(run, tmp_path):
    class Pulse:
        def __init__(self):
            self.beats = []

        def heartbeat(self, _execution, _running):
            self.beats.append(time.monotonic())
            if len(self.beats) == 3:
                runner.request_stop()

        def __getattr__(self, _name):
            return lambda *_args: None

    ours, other = make_pipe()
    pulse = Pulse()
    with (tmp_path / "err").open("wb") as err:
        console = Console(colour=False, out_fd=other, err_fd=err.fileno())
        runner = Runner(
            Execution(Factfile.parse(factfile("x", task("flood", FLOOD)), {})),
            output=console,
            environ=os.environ,
            listeners=[pulse],
            heartbeat_seconds=1,
        )
        runner.run()
        console.outlets.close()
    for fd in (ours, other):
        os.close(fd)

    gaps = [later - sooner for sooner, later in itertools.pairwise(pulse.beats)]
    assert len(gaps) == 2
    assert all(0.5 < gap < 1.8 for gap in gaps)


def test_streams_that_are_one_stay_in_order(run):
    ours, other = make_pipe()
    says = "i=0; while [ $i -lt 3000 ]; do echo $i; echo $i >&2; i=$((i+1)); done"
    stalled = run([task("a", says)], other, err=other)
    os.close(other)
    time.sleep(1)

    shown = read_all(ours)
    os.close(ours)

    assert stalled.process.wait() == 0
    assert shown.startswith(b"Task 'a' was started")
    assert shown.count(b"[a] ") == 6000
    assert b"tasks run in" in shown.splitlines()[-1]


def test_a_run_that_only_waits_for_its_reader_ends_by_a_signal(run):
    ours, other = make_pipe()
    stalled = run([task("a", "seq 1 28000")], other)
    stalled.until(lambda: "'a': succeeded" in stalled.err())
    time.sleep(0.3)
    begun = time.monotonic()
    stalled.process.send_signal(signal.SIGTERM)

    assert stalled.process.wait(5) == 0
    assert time.monotonic() - begun < 3
    for fd in (ours, other):
        os.close(fd)


def test_others_who_share_the_stream_find_it_as_it_was(run, ends):
    other = ends[1]
    stalled = run([task("flood", FLOOD)], other)
    time.sleep(0.7)

    assert os.get_blocking(other)
    stalled.process.terminate()
    stalled.process.wait(10)
    assert os.get_blocking(other)


# --- without a descriptor of our own, as for another user's pipe --------------------


@pytest.mark.parametrize("flags", ["kernel's", "none"])
@pytest.mark.parametrize("make", [make_pipe, make_socket])
def test_what_cannot_be_opened_anew_is_written_all_the_same(flags, make):
    ours, other = make()
    outlet = outlets.Outlet(other)
    if outlet._own_fd >= 0:
        os.close(outlet._own_fd)
        outlet._own_fd = -1
    outlet._flags = getattr(os, "RWF_NOWAIT", 0) if flags == "kernel's" else 0
    begun = time.monotonic()
    lines = [b"%d\n" % number * 1000 for number in range(1000)]
    for line in lines:
        outlet.write(line)
    took = time.monotonic() - begun
    assert outlet.is_full
    rooms = []
    outlet.call_when_room(lambda: rooms.append(1))
    received = []
    reader = threading.Thread(target=lambda: received.append(read_all(ours)))
    reader.start()

    outlet.wait(lambda: False)

    outlet.close()
    os.close(other)
    reader.join()
    os.close(ours)
    assert received == [b"".join(lines)]
    assert rooms == [1]
    assert took < 5
    assert outlet.is_idle


def test_without_a_thread_the_writer_waits_itself():
    ours, other = make_pipe()
    outlet = outlets.Outlet(other)
    received = []
    reader = threading.Thread(target=lambda: received.append(read_all(ours)))
    reader.start()
    old = outlets._thread.start_new_thread

    def refuse(*_args):
        raise RuntimeError("can't start new thread")

    outlets._thread.start_new_thread = refuse
    try:
        outlet.write(b"x" * MIB)
    finally:
        outlets._thread.start_new_thread = old
    outlet.close()
    os.close(other)
    reader.join()
    os.close(ours)

    assert received == [b"x" * MIB]


# --- no room --------------------------------------------------------------------------
