"""What goes beyond the original, through the installed command; and how runs end oddly."""

import json
import os
import pty
import shutil
import subprocess
import sys
import time

import pytest

from support.builders.factfiles import CHAIN, DIAMOND, FAIL, factfile, graph, task
from support.commands import clean_environ, factotum_command, run_command
from support.http.receivers import Receiver


@pytest.fixture
def factotum(tmp_path):
    def run(text, *options, command="run", **more):
        (tmp_path / "job").write_text(text)
        argv = [factotum_command(), command, "job", *options]
        return run_command(argv, cwd=tmp_path, timeout=30, **more)

    return run


def test_an_eager_run_takes_the_longest_path_only(factotum):
    text = factfile(
        "unbalanced",
        task("a", "sleep 0.7"),
        task("b", "true"),
        task("c", "sleep 0.7", after=["b"]),
    )

    eager = factotum(text, "--schedule", "eager")
    levels = factotum(text)

    assert (eager.exit, levels.exit) == (0, 0)
    assert eager.seconds < 1.3 < levels.seconds


def test_at_most_so_many_tasks_run_at_once(factotum):
    text = graph("x", a=[], b=[], c=[]).replace('"echo"', '"sleep 0.2; echo"')

    assert factotum(text, "--max-parallel", "1").seconds > 0.6
    assert factotum(text, "--max-parallel", "1", "--schedule=eager").exit == 0


@pytest.mark.parametrize("option", ["--max-parallel", "--heartbeat-interval", "--webhook-timeout"])
def test_a_zero_is_refused_where_it_makes_no_sense(factotum, option):
    done = factotum(CHAIN, f"{option}=0")

    assert (done.exit, done.out) == (3, f"The value of '{option}' must be at least 1.\n")


def test_a_run_is_resumed_where_it_failed(factotum, tmp_path):
    text = factfile(
        "x",
        task("a", "echo a >> ran"),
        task("b", "echo b >> ran; test -e fixed", after=["a"]),
        task("c", "echo c >> ran", after=["b"]),
    )

    first = factotum(text, "--verdict", "v.json")
    (tmp_path / "fixed").touch()
    second = factotum(text, "--resume", "v.json", "--verdict", "v.json")
    third = factotum(text, "--resume", "v.json")

    assert (first.exit, second.exit, third.exit) == (2, 0, 0)
    assert "2/3 tasks run" in second.out
    assert "0/3 tasks run" in third.out
    assert (tmp_path / "ran").read_text().split() == ["a", "b", "b", "c"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory (os error 2)"),
        (b"{", "it is not JSON"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"{}", "it is not a document of the format 'factotum-verdict/1'"),
    ],
)
def test_a_bad_verdict_is_told_before_anything_runs(factotum, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "v").write_bytes(content)

    done = factotum(CHAIN, "--resume", "v")

    assert done.exit == 3
    assert done.out.startswith(f"The run cannot be resumed from 'v': {reason}")


def test_a_verdict_that_cannot_be_written_is_told(factotum):
    done = factotum(CHAIN, "--verdict", "nowhere/v")

    assert done.exit == 3
    assert "The verdict cannot be written to 'nowhere/v': No such file" in done.out


def test_json_output_is_one_document(factotum):
    done = factotum(FAIL, "--output-format", "json")

    document = json.loads(done.out)
    assert (done.exit, document["state"], document["jobName"]) == (2, "FAILED", "fail")
    assert [each["state"] for each in document["tasks"]] == [
        "SUCCEEDED",
        "FAILED",
        "SKIPPED",
        "SKIPPED",
    ]
    assert "[a] A\n" in done.err


def test_json_output_of_validate_lists_all_errors(factotum):
    good = factotum(CHAIN, "--output-format=json", command="validate")
    bad = factotum('{"x":1}', "--output-format=json", command="validate")

    assert json.loads(good.out) == {"factfile": "job", "valid": True, "errors": []}
    assert bad.exit == 1
    assert len(json.loads(bad.out)["errors"]) == 3


def test_json_output_of_a_dry_run_is_one_document(factotum):
    done = factotum(CHAIN, "--dry-run", "--output-format=json")

    assert json.loads(done.out)["state"] == "SUCCEEDED"


def test_validate_takes_variables_and_tags(factotum):
    text = factfile("x", task("a{{x}}"), task("a{{tag:y}}"))

    assert factotum(text, command="validate").exit == 1
    assert factotum(text, "--env", '{"x":"1"}', "--tag", "y,2", command="validate").exit == 0


def test_the_dry_run_shows_the_commands(factotum):
    done = factotum(factfile("x", task("a", "echo", "A")), "--dry-run")

    assert done.out == (
        "/------|------------------------\\\n"
        "| TASK | COMMAND                |\n"
        "|------|------------------------|\n"
        '| a    | "sh" "-c" "echo \\"A\\"" |\n'
        "\\------|------------------------/\n"
        "1/1 tasks run in 0.0s\n"
    )


def test_the_dry_run_needs_no_zero_among_the_good_codes(factotum):
    done = factotum(
        factfile("x", task("a", ok=[3], terminate=[0]), task("ä", after=["a"])), "--dry-run"
    )

    assert (done.exit, "2/2 tasks run" in done.out) == (0, True)


def test_a_reader_that_goes_away_does_not_disturb_the_job(tmp_path):
    (tmp_path / "job").write_text(
        factfile("x", task("a", "seq 1 100000"), task("b", "touch done; exit 7", after=["a"]))
    )
    script = f"{{ {factotum_command()} run job; echo $? > code; }} | head -1"

    run_command(["sh", "-c", script], cwd=tmp_path)

    assert (tmp_path / "code").read_text() == "2\n"
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(tmp_path, closed):
    (tmp_path / "job").write_text(factfile("x", task("a", "echo A; echo B >&2; cat > got")))

    done = run_command(["sh", "-c", f"{factotum_command()} run job {closed}"], cwd=tmp_path)

    assert done.exit == 0
    assert (tmp_path / "got").exists()


def test_arguments_need_not_be_utf8(tmp_path):
    argv = [factotum_command().encode(), b"run", b"\xff", b"--tag", b"\xfe,1"]

    done = run_command(argv, cwd=tmp_path)

    assert done.exit == 1
    assert done.stdout.startswith(b"Couldn't open '\xff' for reading: No such file")


def test_what_is_written_of_bytes_that_are_not_utf8_is_utf8_and_read_back(tmp_path):
    jobs = [task("{{tag:a}}", "true"), task("b", "test -e there", after=["{{tag:a}}"])]
    (tmp_path / "job").write_text(factfile("x {{tag:a}}", *jobs))
    command = [factotum_command(), "run", "job", "--tag", b"a,\xff\xfe", "--resume", "verdict"]

    with Receiver() as receiver:
        webhook = ["--webhook", receiver.url, "--verdict", "verdict", "--output-format", "json"]
        first = run_command([*command[:-2], *webhook], cwd=tmp_path)
    (tmp_path / "there").touch()
    second = run_command(command, cwd=tmp_path)

    assert (first.exit, second.exit) == (2, 0)
    assert second.out.startswith("1/2 tasks run")
    assert len(receiver.requests) == 7
    assert json.loads(first.stdout) == json.loads((tmp_path / "verdict").read_text("utf-8"))
    assert all(
        json.loads(request.body.decode())["data"]["tags"] == {"a": "\ufffd\ufffd"}
        for request in receiver.requests
    )


def test_a_path_with_a_nul_is_an_error(tmp_path, monkeypatch, capfd):
    from factotum.cli.main import main

    monkeypatch.chdir(tmp_path)

    assert main(["run", "a\0b"]) == 1
    assert capfd.readouterr().out.startswith("Couldn't open 'a\0b' for reading: ")


def test_the_factfile_may_come_through_a_pipe(tmp_path):
    script = f"cat | {factotum_command()} run /dev/stdin"

    done = run_command(["sh", "-c", script], cwd=tmp_path, stdin=CHAIN.encode())

    assert "3/3 tasks run" in done.out


def test_the_progress_view_is_drawn_on_a_terminal_only(tmp_path, factotum):
    text = factfile("x", task("a", "sleep 0.3; echo hello"), task("b", "exit 1"))
    plain = factotum(text, "--progress")
    main_end, other_end = pty.openpty()
    process = subprocess.Popen(
        [factotum_command(), "run", "job", "--progress"],
        cwd=tmp_path,
        env=clean_environ(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=other_end,
        stderr=other_end,
    )
    os.close(other_end)
    shown = b""
    try:
        while part := os.read(main_end, 1 << 16):
            shown += part
    except OSError:
        pass  # how a terminal ends
    os.close(main_end)

    assert process.wait() == 2
    assert b"\x1b[" not in plain.stdout
    assert b"2 running" in shown
    assert b"\x1b[31m1 failed" in shown
    assert b"[\x1b[36ma\x1b[0m] hello" in shown
    assert shown.rstrip().endswith(b"were not run: !")


def test_bash_completes_options_and_choices(tmp_path):
    script = f"""
        source <({factotum_command()} completion bash)
        complete_words() {{
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _factotum
            echo "${{COMPREPLY[@]}}"
        }}
        complete_words factotum r
        complete_words factotum run --ver
        complete_words factotum run --schedule e
        complete_words factotum dot --o
        complete_words factotum run jo
    """
    (tmp_path / "job").touch()

    done = run_command(["bash", "-c", script], cwd=tmp_path)

    assert done.err == ""
    assert done.out.split("\n") == ["run", "--verdict", "eager", "--output --overwrite", "job", ""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_every_option(tmp_path, shell):
    from factotum.core.commandline import usage

    done = run_command([factotum_command(), "completion", shell], cwd=tmp_path)

    assert done.exit == 0
    assert all(name.lstrip("-") in done.out for name in usage.OPTIONS)
    checker = shutil.which(shell)
    if checker is not None:
        subprocess.run([checker, "-n", "/dev/stdin"], input=done.stdout, check=True)


def test_a_task_reads_the_terminal_as_before(tmp_path):
    (tmp_path / "job").write_text(factfile("x", task("a", "read line; echo got $line")))
    main_end, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, factotum_command(), "run", "job"],
        cwd=tmp_path,
        env=clean_environ(tmp_path),
        stdin=other_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(other_end)
    time.sleep(0.3)
    os.write(main_end, b"hello\n")

    out, _ = process.communicate(timeout=10)

    os.close(main_end)
    assert b"[a] got hello\n" in out


OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_diamond_in_eager_mode_has_the_same_events_for_listeners(factotum):
    assert "4/4 tasks run" in factotum(DIAMOND, "--schedule=eager").out
