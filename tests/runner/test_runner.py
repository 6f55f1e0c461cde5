"""The runner with real shells, pipes and timers; its console is a pair of files.

Signals from outside are in `test_shutdown.py`, whole command lines in `tests/cli`.
"""

import os
import threading
import time
from pathlib import Path

import pytest

from support.builders.factfiles import CHAIN, DIAMOND, EMPTY, FAIL, factfile, task


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_listeners_are_told_in_the_order_of_the_events(stage):
    assert stage(FAIL).run().diary.lines == [
        "created WAITING",
        "started RUNNING: a",
        "tasks a",
        "ended a=SUCCEEDED",
        "tasks b",
        "ended b=FAILED c=SKIPPED d=SKIPPED",
        "finished FAILED",
    ]


def test_a_job_without_tasks_has_three_events(stage):
    assert stage(EMPTY).run().diary.lines == [
        "created WAITING",
        "started RUNNING: ",
        "finished SUCCEEDED",
    ]


def test_outputs_are_told_apart_and_kept(stage):
    text = factfile("x", task("t", 'printf "l1\\nl2\\n"; echo e1 >&2; exit', "3", ok=[3]))

    done = stage(text).run()

    assert done.result("t") == ("SUCCEEDED", 3, "l1\nl2", "e1")
    assert done.out == "[t] l1\n[t] l2\n"
    assert "[t] e1\n" in done.err


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("true", 0),
        ("exit 300", 44),
        ("kill -9 $$", 1),
        ("kill -TERM $$", 1),
        ("sh -c banana", 127),
        ('echo "', 2),
        ("exec >&- 2>&-; sleep 0.2; exit 7", 7),
    ],
)
def test_return_codes(stage, command, code):
    done = stage(factfile("x", task("t", command))).run()

    assert done.execution.find("t").return_code == code


def test_a_shell_that_cannot_be_found_fails_the_task(stage):
    done = stage(DIAMOND, environ={"PATH": "/nonexistent"}).run()

    assert done.execution.find("a").error_message == (
        "Error executing process - No such file or directory (os error 2)"
    )
    assert done.execution.find("a").duration_ns == 0
    assert done.diary.lines[1:5] == [
        "started RUNNING: a",
        "tasks a",
        "ended a=FAILED c=SKIPPED b=SKIPPED d=SKIPPED",
        "finished FAILED",
    ]


def test_a_nul_in_the_command_line_fails_the_task(stage):
    done = stage(factfile("x", task("t", "echo", "a\0b"))).run()

    assert done.execution.find("t").error_message == (
        "Error executing process - nul byte found in provided data"
    )


def test_tasks_of_a_level_run_at_once(stage):
    text = factfile("x", *(task(f"t{index}", "sleep", "0.5") for index in range(6)))
    begun = time.monotonic()

    stage(text).run()

    assert time.monotonic() - begun < 1.5


def test_at_most_so_many_tasks_run_at_once(stage, tmp_path):
    log = tmp_path / "log"
    command = f"echo + >> {log}; sleep 0.1; echo - >> {log}"
    text = factfile("x", *(task(f"t{index}", command) for index in range(6)))

    done = stage(text, max_parallel=2).run()

    running = most = 0
    for sign in log.read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert most == 2
    assert done.execution.state == "SUCCEEDED"


def test_a_level_wider_than_the_descriptors_runs_all_the_same(stage):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = factfile("x", *(task(f"t{index}", "sleep 0.05; echo") for index in range(60)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        done = stage(text).run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert done.execution.counts["SUCCEEDED"] == 60


def test_a_background_process_keeps_its_task_until_it_closes_the_output(stage):
    done = stage(factfile("x", task("t", "(sleep 0.3; echo late) & echo early"))).run()

    assert done.result("t")[2] == "early\nlate"


def test_durations_end_with_the_task_not_with_the_level(stage):
    text = factfile("x", *(task(f"t{index}", "true") for index in range(200)))

    done = stage(text).run()

    longest = max(run.duration_ns for run in done.execution.task_runs)
    assert longest < 0.25e9


def test_an_eager_run_does_not_wait_for_the_level(stage):
    text = factfile(
        "x", task("slow", "sleep 0.6"), task("quick", "true"), task("next", "true", after=["quick"])
    )

    done = stage(text, eager=True).run()

    assert done.diary.lines.index("ended next=SUCCEEDED") < done.diary.lines.index(
        "ended slow=SUCCEEDED"
    )


def test_heartbeats_show_what_was_written_so_far(stage):
    text = factfile("x", task("t", "echo so far; sleep 1.3"))

    lines = stage(text, heartbeat_seconds=1).run().diary.lines

    assert lines[3:] == ["beat t:so far", "ended t=SUCCEEDED", "finished SUCCEEDED"]


def test_a_heartbeat_does_not_delay_the_end(stage):
    begun = time.monotonic()

    stage(CHAIN, heartbeat_seconds=30).run()

    assert time.monotonic() - begun < 5


def test_nothing_starts_while_it_may_not(stage):
    allowed = threading.Event()
    on_stage = stage(CHAIN, may_start=allowed.is_set)
    loop = on_stage.runner.loop

    def allow() -> None:
        allowed.set()
        loop.call_soon_threadsafe(lambda: None)

    loop.call_at(time.monotonic() + 0.3, allow)
    begun = time.monotonic()
    on_stage.run()

    assert time.monotonic() - begun >= 0.3
    assert on_stage.execution.state == "SUCCEEDED"


def test_a_stop_from_another_thread_ends_the_run(stage):
    on_stage = stage(factfile("x", task("a", "sleep 30"), task("b", "true", after=["a"])))
    timer = threading.Timer(0.3, on_stage.runner.request_stop)
    timer.start()
    begun = time.monotonic()

    on_stage.run()

    timer.join()
    assert time.monotonic() - begun < 3
    assert on_stage.out == "Terminating 1 child process(es) gracefully...\n"
    assert on_stage.execution.find("a").interrupted
    assert on_stage.execution.find("b").state == "SKIPPED"
    assert on_stage.execution.state == "FAILED"


def test_a_stop_before_anything_runs_starts_nothing(stage):
    on_stage = stage(CHAIN, may_start=lambda: False)
    on_stage.runner.request_stop()

    on_stage.run()

    assert on_stage.execution.counts["WAITING"] == 3
    assert on_stage.diary.lines[-1] == "finished FAILED"


def test_tasks_that_do_not_listen_are_killed(stage):
    command = "trap '' TERM; while :; do sleep 0.05; done"
    on_stage = stage(factfile("x", task("a", command)), grace_seconds=0.3)
    on_stage.runner.loop.call_at(time.monotonic() + 0.3, on_stage.runner.request_stop)

    on_stage.run()

    assert on_stage.out.endswith("Force-killing 1 remaining process(es)...\n")
    assert on_stage.execution.find("a").return_code == 1


def test_what_holds_the_pipes_after_a_kill_is_not_waited_for(stage, tmp_path):
    pid_file = tmp_path / "pid"
    command = f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 30' & sleep 30"
    on_stage = stage(factfile("x", task("a", command)), grace_seconds=0.3)
    on_stage.runner.loop.call_at(time.monotonic() + 0.5, on_stage.runner.request_stop)
    begun = time.monotonic()

    on_stage.run()

    os.kill(int(pid_file.read_text()), 9)
    assert time.monotonic() - begun < 5


def test_tasks_do_not_inherit_ignored_signals(stage):
    done = stage(factfile("x", task("t", "yes | head -1; trap"))).run()

    assert done.result("t")[1:3] == (0, "y")
    assert "Broken pipe" not in done.err


def test_no_descriptor_and_no_child_is_left(stage):
    before, children = count_descriptors(), children_here()

    on_stage = stage(DIAMOND)
    on_stage.run()

    assert count_descriptors() == before + 2  # the stage's own files
    assert children_here() == children


def children_here():
    """List the children of this process, those not waited for included."""
    return [task.read_text().split() for task in Path("/proc/self/task").glob("*/children")]


def test_a_shell_that_may_not_be_executed_fails_the_task(stage, tmp_path):
    (tmp_path / "sh").touch(mode=0o644)

    done = stage(CHAIN, environ={"PATH": str(tmp_path)}).run()

    assert done.execution.find("a").error_message == (
        "Error executing process - Permission denied (os error 13)"
    )


def test_what_ended_before_a_stop_was_not_interrupted(stage):
    on_stage = stage(factfile("x", task("a", "true"), task("b", "sleep 30")))
    runner = on_stage.runner
    runner.loop.call_at(time.monotonic() + 0.5, runner.request_stop)

    on_stage.run()

    assert not on_stage.execution.find("a").interrupted
    assert on_stage.execution.find("b").interrupted


def test_a_stop_is_obeyed_while_a_wide_level_is_being_started(stage):
    on_stage = stage(factfile("x", *(task(f"t{index}", "sleep 30") for index in range(2000))))
    timer = threading.Timer(0.2, on_stage.runner.request_stop)
    timer.start()

    on_stage.run()

    timer.join()
    assert 0 < on_stage.execution.counts["FAILED"] < 2000
    assert on_stage.execution.counts["WAITING"] + on_stage.execution.counts["FAILED"] == 2000
    started = on_stage.diary.lines[2].split()[1:]
    assert len(started) == on_stage.execution.counts["FAILED"]


def test_a_listener_that_breaks_the_run_off_leaves_no_process(stage, tmp_path):
    pid_file = tmp_path / "pid"
    on_stage = stage(
        factfile("x", task("a", f"echo $$ > {pid_file}; echo; sleep 30"), task("b", "sleep 0.3"))
    )

    def fail(*_):
        raise RuntimeError

    on_stage.diary.task_finished = fail
    with pytest.raises(RuntimeError):
        on_stage.run()

    pid = int(pid_file.read_text())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
