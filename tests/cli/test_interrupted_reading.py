"""Commands that wait for what they need, a factfile or a name server, and are interrupted.

A name server that does not answer is put in place for one process, which needs root.
"""

import os
import signal
import socket
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


SILENT_RESOLVER = """
mount --bind resolv.conf /etc/resolv.conf
exec "$@"
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_waits_for_a_name_server_is_interrupted(tmp_path, number):
    (tmp_path / "job").write_text(CHAIN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        address = f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}.{number}"
        silent.bind((address, 53))
        silent.settimeout(20)
        (tmp_path / "resolv.conf").write_text(f"nameserver {address}\n")
        process = subprocess.Popen(
            [
                *own_effects(),
                *("unshare", "--mount", "sh", "-c", SILENT_RESOLVER, "sh"),
                *(factotum_command(), "run", "job", "--constraint", "host,nobody.example"),
            ],
            cwd=tmp_path,
            env=clean_environ(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        silent.recv(1000)
        process.send_signal(number)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)

    assert time.monotonic() - begun < 2
    assert (process.returncode, out, err) == (2, RECEIVED, "")
