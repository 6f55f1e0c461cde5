"""`--progress` beside an interactive shell, which uses the same terminal and stops its jobs."""

import os
import signal

import pyte
import pytest

from support.builders.factfiles import factfile, task
from support.commands import factotum_command
from support.terminals import CTRL_Z, interactive_shell

BLOCK = "6 running, "


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "job").write_text(factfile("x", *(task(f"slow{n}", "sleep 2") for n in range(6))))
    with interactive_shell(tmp_path) as terminal:
        yield terminal


def command(term):
    return f"TERM={term} {factotum_command()} run job --progress --no-colour"


def seen(text):
    """Return what is left on the screen once all of a text was shown there."""
    screen = pyte.Screen(200, 50)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(text)
    return "\n".join(line.rstrip() for line in screen.display).strip()


def test_ctrl_z_takes_the_block_away_and_fg_draws_it_below_what_the_shell_wrote(shell):
    shell.type(command("xterm") + "\n")
    text = shell.wait_for(BLOCK)
    shell.type(CTRL_Z)
    text += shell.wait_for("Stopped")
    assert BLOCK not in seen(text)

    shell.type("echo hel''lo; fg\n")
    text += shell.wait_for(BLOCK)
    text += shell.wait_for("tasks run in")

    assert BLOCK not in seen(text)
    assert "hello" in seen(text).split("\n")


def test_a_stop_that_cannot_be_foreseen_costs_nothing_that_the_shell_wrote(shell):
    shell.type(command("xterm") + "\n")
    text = shell.wait_for(BLOCK)
    os.kill(shell.find("--progress"), signal.SIGSTOP)
    text += shell.wait_for("Stopped")
    shell.type("echo hel''lo; fg\n")
    text += shell.wait_for(BLOCK)
    text += shell.wait_for("tasks run in")

    assert "hello" in seen(text).split("\n")


def test_a_run_in_the_background_draws_no_block(shell):
    shell.type(command("xterm") + " &\n")

    assert BLOCK not in shell.wait_for("tasks run in")


def test_a_terminal_without_a_cursor_to_move_gets_no_block(shell):
    shell.type(command("dumb") + "\n")

    assert "\x1b" not in shell.wait_for("tasks run in")
