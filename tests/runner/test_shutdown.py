"""Signals to the installed command and to nobody else: texts, codes, and what is left behind."""

import signal
import subprocess
import sys

import pytest

from support.builders.factfiles import factfile, task
from support.commands import Signal, factotum_command, left_of, run_command

RECEIVED = "\nReceived shutdown signal, terminating gracefully...\n"
TERMINATING = "Terminating {} child process(es) gracefully...\n"
STOPPED = "Shutdown requested, skipping remaining task groups\n"


def run(tmp_path, *tasks, signals, options=(), environ=None):
    (tmp_path / "job").write_text(factfile("x", *tasks))
    argv = [factotum_command(), "run", "job", *options]
    return run_command(argv, cwd=tmp_path, signals=signals, environ=environ, timeout=30)


def started(name: str, after_s: float = 0.3, number=signal.SIGTERM) -> Signal:
    return Signal(number, f"'{name}' was started", after_s)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_tasks_are_ended_and_the_rest_is_not_run(tmp_path, number):
    done = run(
        tmp_path,
        task("a", "sleep 30"),
        task("p", "echo", "P"),
        task("b", "echo", "B", after=["a"]),
        task("q", "echo", "Q", after=["p"]),
        signals=[started("a", number=number)],
    )

    assert done.exit == 2
    assert done.seconds < 3
    assert done.out.startswith("[p] P\n" + RECEIVED + TERMINATING.format(1) + "2/4 tasks run in ")
    assert done.out.endswith("('a') failed - the following tasks were not run: 'q', 'b'!\n")
    assert done.err.endswith(STOPPED)


@pytest.mark.parametrize(
    ("command", "ok", "terminate"),
    [
        ("trap 'exit 0' TERM; sleep 30 & wait", [0], []),
        ("sleep 30", [0, 1], []),
        ("sleep 30", [0], [1]),
    ],
)
def test_a_shutdown_that_leaves_tasks_unrun_is_no_success(tmp_path, command, ok, terminate):
    done = run(
        tmp_path,
        task("a", command, ok=ok, terminate=terminate),
        task("w", "true"),
        task("b", "true", after=["w"]),
        signals=[started("w")],
    )

    assert done.exit == 2
    assert "2/3 tasks run" in done.out


def test_a_task_that_ignores_the_signal_is_killed_after_five_seconds(tmp_path):
    command = "trap '' TERM INT; while :; do sleep 0.2; done"
    done = run(
        tmp_path,
        task("a", command),
        signals=[started("a"), Signal(signal.SIGTERM, "", 0.5), Signal(signal.SIGINT, "", 0.2)],
    )

    killed = "Force-killing 1 remaining process(es)...\n"
    assert done.out.startswith(RECEIVED + TERMINATING.format(1) + killed + "1/1 tasks run in ")
    assert 5 < done.seconds < 9


def test_nothing_of_a_task_is_left_behind(tmp_path):
    done = run(
        tmp_path,
        task("a", "(trap '' TERM; sleep 31) >/dev/null 2>&1 & sleep 32 & sleep 33"),
        signals=[started("a")],
    )

    assert done.exit == 2
    assert left_of(done.session) == []


@pytest.mark.parametrize(
    "command",
    [
        "sleep 31; true",
        "timeout 32 sleep 31; true",
        "sh -mc 'sleep 31 & wait'; true",
        "(sleep 31; true) | (sleep 32; true); true",
    ],
)
def test_the_programs_end_and_not_only_their_shells(tmp_path, command):
    done = run(tmp_path, task("a", command), task("b", "sleep 33; true"), signals=[started("b")])

    assert done.exit == 2
    assert done.seconds < 4
    assert left_of(done.session) == []


def test_a_run_within_a_run_is_ended_with_its_programs(tmp_path):
    command = "trap '' TERM; sleep 31; sleep 31"
    (tmp_path / "inner").write_text(factfile("inner", task("i", command), task("j", "sleep 32; :")))
    done = run(
        tmp_path,
        task("a", f"{factotum_command()} run inner"),
        signals=[Signal(signal.SIGTERM, "[a] Task 'j' was started", 0.5)],
    )

    assert done.exit == 2
    assert done.seconds < 9
    assert left_of(done.session) == []


def test_a_signal_comes_to_each_program_once(tmp_path):
    command = "trap 'echo told' TERM; for i in 1 2 3 4 5; do sleep 0.2; done"
    done = run(tmp_path, task("a", f'sh -c "{command}"; true'), signals=[started("a")])

    assert done.out.count("[a] told\n") == 1


def test_a_stopped_task_ends_as_well(tmp_path):
    done = run(tmp_path, task("a", "kill -STOP $$"), signals=[started("a")])

    assert done.seconds < 3


def test_the_hang_up_signal_ends_the_runner(tmp_path):
    done = run(tmp_path, task("a", "sleep 1"), signals=[started("a", number=signal.SIGHUP)])

    assert done.exit == -signal.SIGHUP


def test_a_parent_in_the_same_group_is_not_signalled(tmp_path):
    (tmp_path / "job").write_text(factfile("x", task("a", "kill -TERM $PPID; sleep 30")))
    script = f"{factotum_command()} run job; echo code $?"

    done = run_command(["sh", "-c", script], cwd=tmp_path, timeout=30)

    assert done.out.endswith("code 2\n")


@pytest.mark.parametrize("failing", [False, True])
def test_a_second_signal_ends_the_wait_for_a_webhook(tmp_path, failing):
    server = subprocess.Popen(
        [sys.executable, "-c", HANGING_SERVER], stdout=subprocess.PIPE, text=True
    )
    try:
        port = server.stdout.readline().strip()
        done = run(
            tmp_path,
            task("a", "exit", "1" if failing else "0"),
            options=["--webhook", f"http://127.0.0.1:{port}/"],
            signals=[
                Signal(signal.SIGTERM, "Waiting for webhook", 0.3),
                Signal(signal.SIGTERM, "Received shutdown signal", 0.3),
            ],
        )
    finally:
        server.kill()
        server.wait()
        server.stdout.close()

    assert done.exit == (2 if failing else 3)
    assert done.seconds < 5
    assert RECEIVED in done.out


HANGING_SERVER = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""
