"""Runs with a webhook that fails at random leave nothing behind.

Once in one process that runs the command line again and again (descriptors, threads and
children would pile up there), once as processes of their own (tasks and what they start
would stay). Real: the server, which answers well, badly, late, or not at all.
"""

import json
import random
import subprocess
import sys

import pytest

from support.builders.factfiles import factfile, task
from support.commands import factotum_command, run_command, session_members
from support.http.receivers import DROP, HANG, Receiver, Reply, reply

JOB = factfile(
    "leaks",
    task("a", "sleep 0.01 & echo a"),
    task("b", "echo b >&2; exit", "3", ok=[0, 3]),
    task("c", "exit", "5", after=["a", "b"]),
    task("d", "true", after=["c"]),
)
OPTIONS = ("--webhook-backoff", "0", "--webhook-timeout", "1", "--heartbeat-interval", "1")
BAD = (
    reply(500),
    reply(204),
    reply(302, {"Location": "/elsewhere"}),
    reply(200, delay=0.02),
    DROP,
    Reply(b"nonsense"),
    Reply(b"HTTP/1.1 200 OK\r\nX:"),
)

AGAIN_AND_AGAIN = """
import gc, json, os, sys, time
from factotum.cli.main import main

def left():
    gc.collect()
    # A thread that has done its work may need a moment to end; one that leaks never does.
    for _ in range(200):
        if len(os.listdir("/proc/self/task")) == 1:
            break
        time.sleep(0.01)
    children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
    open_now = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return {
        "descriptors": sorted(os.readlink(fd) for fd in open_now if os.path.lexists(fd)),
        "threads": len(os.listdir("/proc/self/task")),
        "processes": len(children),
    }

times, url, *options = sys.argv[1:]
codes = []
before = None
for number in range(int(times)):
    codes.append(main(["run", "job", "--webhook", url, *options]))
    if number == 4:
        before = left()
print("\\n" + json.dumps({"before": before, "after": left(), "codes": sorted(set(codes))}))
"""

sizes = pytest.mark.parametrize(
    "times", [10, pytest.param(200, marks=pytest.mark.acceptance, id="200")]
)


def unreliable(seed):
    """Answer well twice in three times, and once in a hundred not at all."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable mixture

    def answer(index, request):
        kind = chance.random()
        return HANG if kind > 0.99 else chance.choice(BAD) if kind > 0.66 else reply(200)

    return answer


@sizes
def test_one_process_keeps_no_descriptor_thread_or_child(times, tmp_path):
    (tmp_path / "job").write_text(JOB)
    with Receiver(unreliable(1)) as receiver:
        finished = subprocess.run(
            [sys.executable, "-c", AGAIN_AND_AGAIN, str(times), receiver.url, *OPTIONS],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=280,
        )

    told = json.loads(finished.stdout.splitlines()[-1])
    requests = len(receiver.requests)
    print(
        f"\n{times} runs in one process, {requests} requests for {times * 8} events: "
        f"{len(told['before']['descriptors'])} -> {len(told['after']['descriptors'])} descriptors, "
        f"{told['before']['threads']} -> {told['after']['threads']} threads, "
        f"{told['after']['processes']} children left"
    )
    assert told["after"] == told["before"]
    assert told["after"]["threads"] == 1
    assert told["after"]["processes"] == 0
    assert told["codes"] == [2]
    assert requests > times * 8


@sizes
def test_no_process_outlives_its_run(times, tmp_path):
    command = factotum_command()
    (tmp_path / "job").write_text(JOB)
    left = []
    with Receiver(unreliable(2)) as receiver:
        for _ in range(times):
            run = run_command(
                [command, "run", "job", "--webhook", receiver.url, *OPTIONS], cwd=tmp_path
            )
            assert (run.exit, run.timed_out) == (2, False), run.err
            left += session_members(run.session)
        receiver.settle()

    print(f"\n{times} runs as processes: {len(left)} processes left")
    assert left == []
