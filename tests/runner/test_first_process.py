"""The runner as process 1 of a PID namespace of its own, as in a Pod: orphans get reaped.

Needs root, as everything that is marked so.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.builders.factfiles import factfile, task
from support.commands import (
    clean_environ,
    factotum_command,
    own_effects,
    run_command,
    wait_until_idle,
)

ZOMBIES = "grep -c '^State:.Z' /proc/[0-9]*/status | grep -c ':1$'; true"


@pytest.mark.node
def test_orphans_of_tasks_are_reaped(tmp_path):
    orphans = "for i in 1 2 3; do (sleep 0.2 >/dev/null 2>&1 &); done"
    text = factfile(
        "x",
        task("a", orphans),
        task("b", f"sleep 0.6; {ZOMBIES}", after=["a"]),
        task("c", "exit", "3", after=["b"]),
    )
    (tmp_path / "job").write_text(text)
    argv = ["unshare", "--pid", "--fork", "--mount-proc", factotum_command(), "run", "job"]

    done = run_command(argv, cwd=tmp_path, timeout=20)

    assert "[b] 0\n" in done.out, done
    assert done.exit == 2


@pytest.mark.node
def test_exit_codes_count_though_deaths_of_children_are_ignored(tmp_path):
    (tmp_path / "job").write_text(factfile("x", task("a", "exit 3", ok=[3]), task("b", "exit 1")))
    script = f"trap '' CHLD TERM INT; exec unshare -pf --mount-proc {factotum_command()} run job"

    done = run_command(["bash", "-c", script], cwd=tmp_path, timeout=20)

    assert "Task 'a': succeeded" in done.err
    assert "Task 'b': failed" in done.err
    assert "continue_job - 1 (" in done.err


def find_child(pid: int) -> int:
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        if children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return int(children[0])
        time.sleep(0.02)
    raise AssertionError("no process 1 came")


@pytest.mark.node
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("command", "code"), [("run", 2), ("validate", None), ("dot", None)])
def test_waiting_for_a_factfile_can_be_interrupted_as_the_first_process(
    tmp_path, command, code, number
):
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [*own_effects(), "unshare", "--pid", "--fork", factotum_command(), command, "pipe"],
        cwd=tmp_path,
        env=clean_environ(tmp_path),
        stdout=subprocess.DEVNULL,
    )
    first = find_child(process.pid)
    wait_until_idle(first)
    os.kill(first, number)

    assert process.wait(10) == (128 + number if code is None else code)


@pytest.mark.node
def test_a_stop_of_the_first_process_reaches_orphans(tmp_path):
    (tmp_path / "job").write_text(factfile("x", task("a", "(timeout 32 sleep 31 &); sleep 33; :")))
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--mount-proc", factotum_command(), "run", "job"],
        cwd=tmp_path,
        env=clean_environ(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    first = find_child(process.pid)
    time.sleep(0.8)
    begun = time.monotonic()
    os.kill(first, signal.SIGTERM)
    out, _ = process.communicate(timeout=10)

    assert process.returncode == 2
    assert "Terminating 1 child process(es) gracefully...\n" in out
    assert "Force-killing" not in out
    assert time.monotonic() - begun < 4
