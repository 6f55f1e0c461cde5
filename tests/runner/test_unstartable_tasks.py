"""Tasks that cannot be started, through the installed command: who reads it learns the cause."""

import pytest

from support.builders.factfiles import factfile, task
from support.commands import factotum_command, run_command
from support.terminals import Terminal

TOO_LONG = "Error executing process - Argument list too long (os error 7)"
NO_SHELL = "Error executing process - No such file or directory (os error 2)"
FORBIDDEN = "Error executing process - Permission denied (os error 13)"
NO_DESCRIPTOR = "Error executing process - Too many open files (os error 24)"
NUL = "Error executing process - nul byte found in provided data"


def read_log(tmp_path) -> str:
    return (tmp_path / ".factotum" / "factotum.log").read_text()


def write(tmp_path, *tasks) -> None:
    (tmp_path / "job").write_text(factfile("x", *tasks))


@pytest.mark.parametrize(
    ("tasks", "environ", "limits", "cause"),
    [
        pytest.param([task("a", "echo", "x" * 200_000)], {}, "", TOO_LONG, id="a long argument"),
        pytest.param(
            [task("a", "echo", "x" * 60_000)],
            {"V": "x" * 90_000},
            "ulimit -s 512; ",  # a quarter of it, or 128 KiB, is what they may have together
            TOO_LONG,
            id="with the environment",
        ),
        pytest.param([task("a", "true")], {"PATH": "{folder}"}, "", FORBIDDEN, id="forbidden"),
        pytest.param([task("a", "true")], {}, "ulimit -n 11; ", NO_DESCRIPTOR, id="descriptors"),
    ],
)
def test_the_cause_stands_on_the_console_and_in_the_log(tmp_path, tasks, environ, limits, cause):
    write(tmp_path, *tasks, task("b", "echo B", after=["a"]))
    (tmp_path / "sh").touch(mode=0o644)
    environ = {name: value.format(folder=tmp_path) for name, value in environ.items()}
    script = f'{limits}exec "$@"'

    argv = ["/bin/sh", "-c", script, "sh", factotum_command(), "run", "job"]
    done = run_command(argv, cwd=tmp_path, environ=environ)

    assert done.exit == 2, done
    assert f"Task 'a': {cause}\n" in done.err
    assert f"Task 'a': {cause}\n" in read_log(tmp_path)


@pytest.mark.parametrize(
    ("argument", "path", "cause"), [("A", "/nonexistent", NO_SHELL), ("A\0B", "/bin:/usr/bin", NUL)]
)
def test_two_causes_are_left_to_the_log_where_scripts_read_the_originals_lines(
    tmp_path, argument, path, cause
):
    write(tmp_path, task("a", "echo", argument))

    done = run_command([factotum_command(), "run", "job"], cwd=tmp_path, environ={"PATH": path})

    assert done.exit == 2
    assert cause not in done.err
    assert f"Task 'a': {cause}\n" in read_log(tmp_path)


@pytest.mark.parametrize(
    ("argument", "path", "cause"), [("A", "/nonexistent", NO_SHELL), ("A\0B", "/bin:/usr/bin", NUL)]
)
def test_a_person_at_a_terminal_is_told_those_too(tmp_path, argument, path, cause):
    write(tmp_path, task("a", "echo", argument))

    terminal = Terminal(["env", f"PATH={path}", factotum_command(), "run", "job"], tmp_path)
    try:
        terminal.wait_for(f"Task 'a': {cause}\n")
    finally:
        terminal.close()


def test_a_level_says_of_each_task_what_kept_it_from_starting(tmp_path):
    write(
        tmp_path, task("good", "echo G"), *(task(f"t{n}", "echo", "x" * 140_000) for n in range(3))
    )

    done = run_command([factotum_command(), "run", "job"], cwd=tmp_path)

    assert [f"Task 't{n}': {TOO_LONG}\n" in done.err for n in range(3)] == [True] * 3
    assert "[good] G\n" in done.out


def test_a_runner_that_has_no_descriptors_itself_says_so(tmp_path):
    write(tmp_path, task("a", "true"))

    argv = ["sh", "-c", f"ulimit -n 5; exec {factotum_command()} run job"]
    done = run_command(argv, cwd=tmp_path)

    assert (done.exit, done.err) == (3, "")
    assert done.out == "The run cannot begin: Too many open files (os error 24)\n"
