"""Heartbeats of the installed command, with real time: none too many, and any interval works."""

import itertools
import os
import signal
import subprocess
import time

import pytest

from support.builders.factfiles import factfile, task
from support.commands import clean_environ, factotum_command, run_command
from support.http.receivers import Receiver, reply


def beats(receiver) -> list[float]:
    wanted = b'"currentState":"RUNNING","previousState":"RUNNING"'
    return [each.at for each in receiver.requests if wanted in each.body]


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_runner_that_was_stopped_sends_one_heartbeat_for_those_it_missed(tmp_path, parallel):
    tasks = [task(f"t{number}", "sleep 7") for number in range(parallel)]
    (tmp_path / "job").write_text(factfile("x", *tasks))
    with Receiver([reply(200)]) as receiver:
        argv = [factotum_command(), "run", "job", "--webhook", receiver.url]
        process = subprocess.Popen(
            [*argv, "--heartbeat-interval", "1"],
            cwd=tmp_path,
            env=clean_environ(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1.6)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3.7)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(20) == 0
        moments = beats(receiver)

    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert 2 <= len(moments) <= 5
    assert min(gaps) > 0.4


@pytest.mark.parametrize(
    "interval",
    [2_147_484, 4_000_000, 2**31, 2**32, 2**53 + 1, 2**63, 9223372036854775807, 2**64 - 1],
)
def test_a_long_interval_is_no_trouble(tmp_path, interval):
    (tmp_path / "job").write_text(factfile("x", task("t", "sleep 0.3")))
    with Receiver([reply(200)]) as receiver:
        argv = [factotum_command(), "run", "job", "--webhook", receiver.url]
        done = run_command([*argv, f"--heartbeat-interval={interval}"], cwd=tmp_path, timeout=20)
        moments = beats(receiver)
        last = receiver.requests[-1].body

    assert (done.exit, moments) == (0, []), done
    assert b'"runState":"SUCCEEDED"' in last
