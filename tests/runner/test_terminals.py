"""Runs from a real terminal, typed into an interactive shell: its job control is the judge."""

import os
import signal
import time

import pytest

from support.builders.factfiles import factfile, task
from support.commands import factotum_command
from support.terminals import CTRL_C, CTRL_Z, interactive_shell

ASK = "printf 'Secret: ' >/dev/tty; read -r answer </dev/tty; echo got $answer"


@pytest.fixture
def shell(tmp_path):
    with interactive_shell(tmp_path) as terminal:
        terminal.type(f"f={factotum_command()}\n")
        yield terminal


def write(tmp_path, *tasks) -> None:
    (tmp_path / "job").write_text(factfile("x", *tasks))


def wait_until_there(shell, part: str) -> None:
    limit = time.monotonic() + 10
    while not any(part in each and "sh -c" not in each for each in shell.members()):
        assert time.monotonic() < limit, shell.members()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "streams", ["", "</dev/null", "</dev/null 2>err", "</dev/null | cat", "<&- 2>&1"]
)
def test_a_task_asks_on_the_terminal_whatever_the_standard_streams_are(shell, tmp_path, streams):
    write(tmp_path, task("ask", ASK))

    shell.type(f"$f run job {streams}; echo rc=$?\n")
    shell.wait_for("Secret: ")
    shell.type("swordfish\n")

    assert "[ask] got swordfish\n" in _plain(shell.wait_for("rc=0"))


def test_a_task_sets_the_terminal_while_another_one_reads_it(shell, tmp_path):
    write(tmp_path, task("ask", ASK), task("set", "stty -echoe </dev/tty && echo set"))

    shell.type("$f run job </dev/null; echo rc=$?\n")
    shell.wait_for("Secret: ")
    time.sleep(0.3)
    shell.type("a\n")

    shown = _plain(shell.wait_for("rc=0"))
    assert "[ask] got a\n" in shown


@pytest.mark.parametrize("streams", ["", "</dev/null", "</dev/null >out 2>&1"])
@pytest.mark.parametrize(
    "command",
    [
        "sleep 7101; true",
        "(sleep 7101; true) & wait",
        "(sleep 7101 &) ; sleep 7102",
        "sh -c 'sh -c \"sleep 7101; true\"; true'; true",
        "timeout 7102 sleep 7101; true",
        "sh -mc 'sleep 7101 & wait'; true",
    ],
)
def test_a_killed_runner_takes_the_programs_along(shell, tmp_path, command, streams):
    write(tmp_path, task("a", command), task("b", "sleep 7103; true"))

    shell.type(f"$f run job {streams}; echo rc=$?\n")
    wait_until_there(shell, "sleep 7101")
    wait_until_there(shell, "sleep 7103")
    begun = time.monotonic()
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shell.wait_for("rc=2")
    assert time.monotonic() - begun < 4
    assert shell.members() == []


def test_shells_do_not_go_on_when_their_program_is_ended(shell, tmp_path):
    nested = "sleep 7151; echo on >>on"
    for quote in ("'", '"'):
        nested = f"sh -c {quote}{nested}{quote}; echo on >>on"
    write(tmp_path, *(task(f"t{number}", nested) for number in range(20)))

    shell.type("$f run job </dev/null; echo rc=$?\n")
    wait_until_there(shell, "sleep 7151")
    time.sleep(0.5)
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shell.wait_for("rc=2")
    assert not (tmp_path / "on").exists()


@pytest.mark.parametrize(
    "command",
    [
        "sh -c \"trap '' TERM; sleep 7201; sleep 7201; true\"; true",
        "(trap '' TERM; sleep 7201 & sleep 7201) >/dev/null 2>&1 & sleep 7202",
        "(trap '' TERM; (sleep 7201 &)); sleep 7202",
    ],
)
def test_programs_that_do_not_listen_are_killed_after_the_grace(shell, tmp_path, command):
    write(tmp_path, task("a", command))

    shell.type("$f run job </dev/null; echo rc=$?\n")
    wait_until_there(shell, "sleep 7201")
    begun = time.monotonic()
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shell.wait_for("rc=2")
    assert 4.5 < time.monotonic() - begun < 9
    assert shell.members() == []


def test_programs_are_found_though_a_wide_level_has_taken_all_descriptors(shell, tmp_path):
    write(tmp_path, *(task(f"t{number}", "sleep 7251; true") for number in range(40)))

    shell.type("(ulimit -n 40; exec $f run job); echo rc=$?\n")
    wait_until_there(shell, "sleep 7251")
    time.sleep(0.5)
    begun = time.monotonic()
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shell.wait_for("rc=2")
    assert time.monotonic() - begun < 4
    assert shell.members() == []


def test_nobody_else_in_the_foreground_is_signalled(shell, tmp_path):
    write(tmp_path, task("a", "sleep 7301; true"))
    (tmp_path / "script").write_text(
        "sleep 7302 &\n$1 run job | { cat; echo tail lives; }\necho script lives\n"
    )

    shell.type("sh script $f; echo rc=$?\n")
    wait_until_there(shell, "sleep 7301")
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shown = shell.wait_for("rc=0")
    assert "tail lives" in shown
    assert "script lives" in shown
    assert [each.strip() for each in shell.members()] == ["sleep 7302"]


def test_a_daemon_in_a_session_of_its_own_is_spared(shell, tmp_path):
    daemon = "setsid sh -c 'echo $$ >pid; exec sleep 10' >/dev/null 2>&1 &"
    until_it_is_one = "while ! test -s pid; do sleep 0.01; done"
    write(tmp_path, task("a", f"{daemon} {until_it_is_one}; sleep 7401; true"))

    shell.type("$f run job; echo rc=$?\n")
    wait_until_there(shell, "sleep 7401")
    os.kill(shell.find("factotum run"), signal.SIGTERM)

    shell.wait_for("rc=2")
    os.kill(int((tmp_path / "pid").read_text()), 0)


def test_ctrl_c_ends_the_run(shell, tmp_path):
    write(tmp_path, task("a", "sleep 7501; true"), task("b", "echo B", after=["a"]))

    shell.type("$f run job </dev/null; echo rc=$?\n")
    wait_until_there(shell, "sleep 7501")
    shell.type(CTRL_C)

    assert "not run: 'b'!\n" in _plain(shell.wait_for("rc=2"))
    assert shell.members() == []


def test_ctrl_z_stops_everything_and_fg_goes_on(shell, tmp_path):
    write(tmp_path, task("a", "for i in 1 2 3 4 5 6; do sleep 0.3; date +%s%N >>ticks; done"))

    shell.type("$f run job </dev/null\n")
    shell.wait_for("was started at")
    time.sleep(0.5)
    shell.type(CTRL_Z)
    shell.wait_for("Stopped")
    ticks = len((tmp_path / "ticks").read_text().split())
    time.sleep(1)
    still = len((tmp_path / "ticks").read_text().split())
    shell.type("fg; echo rc=$?\n")

    shell.wait_for("rc=0")
    assert still == ticks
    assert len((tmp_path / "ticks").read_text().split()) == 6


def test_a_run_in_the_background_is_stopped_when_it_asks_until_it_may(shell, tmp_path):
    write(tmp_path, task("ask", f"sleep 0.3; {ASK}"))

    shell.type("$f run job </dev/null &\n")
    shell.wait_for("Stopped")
    shell.type("fg; echo rc=$?\n")
    time.sleep(0.5)
    shell.type("later\n")

    assert "got later\n" in _plain(shell.wait_for("rc=0"))


@pytest.mark.parametrize("target", ["%1", "$!"])
def test_a_run_in_the_background_is_ended_with_its_programs(shell, tmp_path, target):
    write(tmp_path, task("a", "sleep 7601; true"))

    shell.type("$f run job </dev/null & \n")
    wait_until_there(shell, "sleep 7601")
    shell.type(f"kill {target}; wait $!; echo rc=$?\n")

    shell.wait_for("rc=2")
    assert shell.members() == []


def test_a_run_stopped_in_the_background_is_ended_all_the_same(shell, tmp_path):
    write(tmp_path, task("ask", ASK))

    shell.type("$f run job </dev/null &\n")
    shell.wait_for("Stopped")
    shell.type("kill %1; kill -CONT %1; wait $!; echo rc=$?\n")

    shell.wait_for("rc=2")
    assert shell.members() == []


def test_orphans_do_not_stay_zombies(shell, tmp_path):
    zombies = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | while read f; do"
    zombies += ' grep -q "^PPid:.$PPID\\$" $f 2>/dev/null && echo zombie; done; true'
    write(
        tmp_path,
        task("a", "for i in 1 2 3; do (sleep 0.2 >/dev/null 2>&1 &); done"),
        task("b", f"sleep 0.6; {zombies}", after=["a"]),
    )

    shell.type("$f run job; echo rc=$?\n")

    assert "zombie" not in shell.wait_for("rc=0")


def _plain(text: str) -> str:
    for code in ("\x1b[36m", "\x1b[31m", "\x1b[32m", "\x1b[0m"):
        text = text.replace(code, "")
    return text
