"""Tasks that leave a process behind which keeps their output open, through the installed command.

The runner reads on, as the original does; the task's duration and code are its shell's.
"""

import json
import signal

import pytest

from support.builders.factfiles import factfile, task
from support.commands import Signal, factotum_command, left_of, run_command

ZOMBIES = """
for file in /proc/[0-9]*/status; do
    grep -q "^PPid:.$PPID$" $file 2>/dev/null && grep '^State:.Z' $file 2>/dev/null
done; echo looked
"""


@pytest.fixture
def run(tmp_path):
    def run(*tasks, **more):
        (tmp_path / "job").write_text(factfile("x", *tasks))
        argv = [factotum_command(), "run", "job", "--verdict", "verdict"]
        done = run_command(argv, cwd=tmp_path, timeout=30, **more)
        verdict = json.loads((tmp_path / "verdict").read_text())
        return done, {each["name"]: each for each in verdict["tasks"]}

    return run


@pytest.mark.parametrize(
    "left",
    [
        "(sleep 1.5; echo late) &",
        "(exec 2>&-; sleep 1.5; echo late) &",
        "(exec 1>&-; sleep 1.5; echo late >&2) &",
        "setsid sh -c 'sleep 1.5; echo late' &",
        "(sleep 1.5; echo late) & kill -9 $$",
    ],
)
def test_the_duration_is_the_shells_and_what_comes_later_is_read(run, left):
    done, tasks = run(task("t", f"{left} echo early; exit", "3", ok=[3, 1]))

    assert "[t] late\n" in done.out + done.err
    assert done.seconds > 1.5
    assert tasks["t"]["durationNs"] < 1.0e9
    assert tasks["t"]["returnCode"] == (1 if "kill" in left else 3)
    assert "succeeded after 0." in done.err


def test_durations_are_told_apart_in_a_wide_level(run):
    done, tasks = run(*(task(f"t{number}", "sleep 2 & true") for number in range(40)))

    assert done.exit == 0
    assert done.seconds > 2
    assert max(each["durationNs"] for each in tasks.values()) < 1.5e9


def test_a_shell_that_closes_its_outputs_early_is_timed_to_its_end(run):
    _, tasks = run(task("t", "exec >&- 2>&-; sleep 0.5; exit", "7", ok=[7]))

    assert tasks["t"]["returnCode"] == 7
    assert 0.5e9 < tasks["t"]["durationNs"] < 2e9


def test_the_shell_is_no_zombie_meanwhile(run):
    done, _ = run(
        *(task(f"t{n}", "sleep 1.5 &") for n in range(5)), task("z", f"sleep 0.7;{ZOMBIES}")
    )

    assert "[z] looked\n" in done.out
    assert "State" not in done.out


def test_the_next_level_waits_until_all_has_been_read(run):
    done, _ = run(task("a", "(sleep 0.5; echo late) &"), task("b", "echo B", after=["a"]))

    assert done.out.startswith("[a] late\n[b] B\n")


def test_a_stop_ends_what_has_lost_its_shell(run):
    done, tasks = run(
        task("a", "sleep 8101 &"), signals=[Signal(signal.SIGTERM, "'a' was started", 0.7)]
    )

    assert done.seconds < 4
    assert tasks["a"]["durationNs"] < 0.6e9
    assert left_of(done.session) == []


def test_a_stop_kills_what_has_lost_its_shell_and_does_not_listen(run):
    done, _ = run(
        task("a", "(trap '' TERM; sleep 8201; sleep 8201) &"),
        signals=[Signal(signal.SIGTERM, "'a' was started", 0.7)],
    )

    assert 5 < done.seconds < 9
    assert left_of(done.session) == []
