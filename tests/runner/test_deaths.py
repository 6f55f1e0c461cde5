"""How a runner learns of its tasks' deaths, with and without signals, and children of others."""

import os
import threading
import time

import pytest

from support.builders.factfiles import factfile, task
from support.runners import Stage


def run_beside_the_main_thread(on_stage):
    """There no signal tells of the deaths of children."""
    thread = threading.Thread(target=on_stage.run)
    thread.start()
    thread.join()
    return on_stage


def test_deaths_are_noticed_beside_the_main_thread_too(stage):
    text = factfile("x", task("t", "exec >&- 2>&-; sleep 0.3; exit 7"), task("u", "sleep 1 &"))

    done = run_beside_the_main_thread(stage(text))

    assert done.execution.find("t").return_code == 7
    assert 0.3e9 < done.execution.find("t").duration_ns < 0.8e9
    assert done.execution.find("u").duration_ns < 0.8e9


@pytest.mark.parametrize("drive", [Stage.run, run_beside_the_main_thread])
def test_an_exit_code_that_somebody_else_took_is_no_success(stage, drive):
    on_stage = stage(factfile("x", task("t", "echo $$; exec sleep 0.3", ok=[0, 1])))

    def steal(*_):
        while not (text := on_stage.out):
            on_stage.runner.loop.serve_what_is_there()
            on_stage.runner._output.flush()
        os.waitpid(int(text.split()[1]), 0)

    on_stage.diary.tasks_started = steal
    drive(on_stage)

    assert on_stage.execution.find("t").return_code == -1
    assert on_stage.execution.find("t").error_message == (
        "Error waiting for process - No child processes (os error 10)"
    )
    assert on_stage.execution.state == "FAILED"


def test_children_of_others_are_left_to_them(stage):
    mine = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], os.environ)
    time.sleep(0.2)

    done = stage(factfile("x", task("a", "exit 3", ok=[3]), task("b", "sleep 0.2"))).run()

    assert os.waitstatus_to_exitcode(os.waitpid(mine, 0)[1]) == 9
    assert done.execution.state == "SUCCEEDED"
