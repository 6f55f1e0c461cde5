"""Commands that wait for their factfile, in a pipe that nobody writes to, and are interrupted."""

import os
import signal
import subprocess
import time

import pytest

from support.builders.factfiles import CHAIN
from support.commands import clean_environ, factotum_command, own_effects, wait_until_idle

RECEIVED = "\nReceived shutdown signal, terminating gracefully...\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("source", ["no writer", "silent writer", "half a text", "standard input"])
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("run", []),
        ("run", ["--dry-run"]),
        ("run", ["--output-format", "json"]),
        ("validate", []),
        ("dot", []),
    ],
)
def test_a_command_that_waits_for_its_factfile_is_interrupted(
    tmp_path, command, options, source, number
):
    os.mkfifo(tmp_path / "pipe")
    readable, writable = os.pipe()
    name = "/dev/stdin" if source == "standard input" else "pipe"
    process = start(tmp_path, command, name, *options, stdin=readable)
    if source in ("silent writer", "half a text"):
        os.close(writable)
        writable = os.open(tmp_path / "pipe", os.O_WRONLY)
    if source in ("half a text", "standard input"):
        os.write(writable, CHAIN.encode()[:50])
    wait_until_idle(process.pid)
    process.send_signal(number)
    begun = time.monotonic()
    out, err = process.communicate(timeout=10)
    os.close(readable)
    os.close(writable)

    assert time.monotonic() - begun < 2
    assert err == ""
    if command == "run":  # like a run that was stopped before its first task
        assert (process.returncode, out) == (2, RECEIVED)
    else:
        assert (process.returncode, out) == (-number, "")


def start(folder, *words, stdin=subprocess.DEVNULL):
    return subprocess.Popen(
        [*own_effects(), factotum_command(), *words],
        cwd=folder,
        env=clean_environ(folder),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_impatience_does_no_harm(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    process = start(tmp_path, "run", "pipe")
    wait_until_idle(process.pid)
    for _ in range(20):
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)

    assert "Traceback" not in err
    assert process.returncode in (2, -signal.SIGINT)
    assert out in ("", RECEIVED)


@pytest.mark.parametrize("command", ["run", "validate"])
def test_other_signals_and_a_stop_do_not_disturb_the_reading(tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    process = start(tmp_path, command, "pipe")
    wait_until_idle(process.pid)
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD):
        process.send_signal(number)
    (tmp_path / "pipe").write_text(CHAIN)
    _, err = process.communicate(timeout=10)

    assert process.returncode == 0
    assert "Traceback" not in err


def test_what_is_resumed_may_come_from_a_pipe_that_is_interrupted(tmp_path):
    (tmp_path / "job").write_text(CHAIN)
    os.mkfifo(tmp_path / "pipe")
    process = start(tmp_path, "run", "job", "--resume", "pipe")
    wait_until_idle(process.pid)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err) == (2, RECEIVED, "")
