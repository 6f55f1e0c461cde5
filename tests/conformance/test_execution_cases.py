"""Cases of running tasks, colour and signals that no recorded run is named after (R-129 to R-179).

Real: the installed command, its shell and its signals. Durations of minutes and hours are
asked of the function that words them.
"""

import signal

import pytest

from factotum.core.run import durations
from support.builders.factfiles import CHAIN, FAIL, factfile, task
from support.commands import Signal, at_once
from support.http.receivers import HANG, Receiver

CYAN, GREEN, OFF = "\x1b[36m", "\x1b[32m", "\x1b[0m"


@pytest.fixture
def job(tmp_path):
    return (tmp_path / "job").write_text


@pytest.mark.parametrize(
    ("ok", "status", "code"),
    [
        pytest.param([0, 1], "1", 0, id="R-129"),
        pytest.param([0, 44], "300", 0, id="R-130"),
        pytest.param([0, 1], "2", 2, id="R-132"),
    ],
)
def test_return_code_is_judged_by_continue_job(ok, status, code, factotum, job):
    job(factfile("j", task("a", "exit", status, ok=ok)))

    run = factotum("run", "job")

    reason = (
        "failed after 0.0s. Reason: the task exited with a value not specified in continue_job"
        " - 2 (task expects one of the following return codes to continue [0,1])\n"
    )
    assert run.exit == code
    assert at_once(run.err).endswith(
        f"Task 'a': {'succeeded after 0.0s' if not code else reason.strip()}\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "0.0s", id="R-144.nothing"),
        pytest.param(2.5, "2.5s", id="R-144.seconds"),
        pytest.param(59.96, "60.0s", id="R-144.rounded"),
        pytest.param(62.5, "1m, 2s", id="R-144.minutes"),
        pytest.param(3599, "59m, 59s", id="R-144.nearly-an-hour"),
        pytest.param(3600, "1h, 0m, 0s", id="R-144.hour"),
        pytest.param(36063, "10h, 1m, 3s", id="R-144.hours"),
    ],
)
def test_duration_is_worded_by_its_length(seconds, text):
    assert durations.to_console(int(seconds * 1_000_000_000)) == text


@pytest.mark.parametrize("case", [pytest.param(None, id="R-145")])
def test_colours_of_a_run(case, factotum, job):
    job(FAIL)

    run = factotum("run", "job", environ={"CLICOLOR_FORCE": "1"})

    b, c, d = (f"'{CYAN}{name}{OFF}'" for name in "bcd")
    assert at_once(run.out) == (
        f"[{CYAN}a{OFF}] A\n"
        f"{GREEN}2/4 tasks run in 0.0s\n{OFF}"
        f"Factotum job executed abnormally as a task ({b}) failed"
        f" - the following tasks were not run: {c}, {d}!\n"
    )


@pytest.mark.parametrize("case", [pytest.param(None, id="R-146")])
def test_pipe_gets_no_colours(case, factotum, job):
    job(CHAIN)

    run = factotum("run", "job")

    assert "\x1b" not in run.out + run.err


def interrupted(first, **more):
    """Return a job of `first` with b behind it, beside the tasks in `more`."""
    others = [task(name, command) for name, command in more.items()]
    return factfile("j", first, *others, task("b", "echo", after=[first["name"]]))


@pytest.mark.parametrize("case", [pytest.param(None, id="R-175")])
def test_shutdown_is_told_in_the_last_event(case, factotum, job):
    import json

    job(
        factfile(
            "j",
            task("a", "sleep", "30"),
            task("p", "true"),
            task("b", "true", after=["a"]),
            task("q", "true", after=["p"]),
        )
    )

    with Receiver() as receiver:
        run = factotum(
            *("run", "job", "--webhook", receiver.url),
            signals=[Signal(signal.SIGTERM, "'p': succeeded", 0.3)],
        )

    data = json.loads(receiver.requests[-1].body)["data"]
    states = {each["taskName"]: each["state"] for each in data["taskStates"]}
    assert run.exit == 2
    assert data["jobTransition"] == {"currentState": "FAILED", "previousState": "RUNNING"}
    assert states == {"a": "FAILED", "p": "SUCCEEDED", "b": "SKIPPED", "q": "WAITING"}


@pytest.mark.parametrize("case", [pytest.param(None, id="R-177")])
def test_only_the_deaf_task_is_killed(case, factotum, job):
    deaf = "trap '' TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done"
    job(interrupted(task("a", deaf), other="sleep 30"))

    run = factotum("run", "job", signals=[Signal(signal.SIGTERM, "'a' was started", 0.4)])

    assert run.exit == 2
    assert "Terminating 2 child process(es) gracefully...\n" in run.out
    assert "Force-killing 1 remaining process(es)...\n" in run.out
    assert 5 <= run.seconds < 8


@pytest.mark.parametrize("case", [pytest.param(None, id="R-178")])
def test_hang_up_ends_the_runner_by_the_signal(case, factotum, job):
    job(factfile("j", task("a", "sleep", "2")))

    run = factotum("run", "job", signals=[Signal(signal.SIGHUP, "'a' was started", 0.2)])

    assert run.exit == -signal.SIGHUP


@pytest.mark.parametrize("case", [pytest.param(None, id="R-179")])
def test_second_signal_ends_the_wait_for_a_hanging_webhook(case, factotum, job):
    job(factfile("j", task("a")))

    with Receiver([HANG]) as receiver:
        run = factotum(
            *("run", "job", "--webhook", receiver.url),
            signals=[
                Signal(signal.SIGTERM, "Waiting for webhook", 0.3),
                Signal(signal.SIGTERM, "Received shutdown signal, terminating gracefully...", 0.3),
            ],
            timeout=20,
        )

    assert run.exit in (2, 3)
    assert not run.timed_out
    assert run.out.count("Received shutdown signal, terminating gracefully...\n") == 1
    assert "Traceback" not in run.err
