"""Output that finds no room: told, and a failure where the output is the result."""

import pytest

from support.builders.factfiles import CHAIN, factfile, task
from support.commands import factotum_command, run_command
from support.disks import small_disk


@pytest.mark.parametrize(
    "words",
    [
        "dot job",
        "validate job --output-format json",
        "run job --output-format json",
        "run job --dry-run",
        "completion bash",
        "--version",
        "--help",
    ],
)
def test_results_that_find_no_room_are_a_failure(tmp_path, words):
    (tmp_path / "job").write_text(CHAIN)

    done = run_command(["sh", "-c", f"{factotum_command()} {words} > /dev/full"], cwd=tmp_path)

    assert done.exit == 3
    reason = "Error: standard output cannot be written: No space left on device (os error 28)\n"
    assert done.err.count(reason) == 1


@pytest.mark.parametrize(
    ("words", "code"), [("run job", 0), ("run failing", 2), ("validate job", 0), ("validate x", 1)]
)
def test_other_commands_keep_their_exit_code(tmp_path, words, code):
    (tmp_path / "job").write_text(CHAIN)
    (tmp_path / "failing").write_text(factfile("x", task("a", "exit 1")))

    done = run_command(["sh", "-c", f"{factotum_command()} {words} > /dev/full"], cwd=tmp_path)

    assert done.exit == code
    assert "standard output cannot be written: No space left on device" in done.err


def test_results_nobody_reads_are_no_failure(tmp_path):
    (tmp_path / "job").write_text(CHAIN)
    script = f"{{ sleep 0.3; {factotum_command()} dot job; echo $? > code; }} | true"

    done = run_command(["sh", "-c", script], cwd=tmp_path)

    assert (tmp_path / "code").read_text() == "0\n"
    assert done.err == ""


def test_output_goes_on_when_there_is_room_again(tmp_path):
    says = "seq 100000 130000; echo; sleep 0.2; rm disk/filler; sleep 0.2; echo once more"
    (tmp_path / "job").write_text(factfile("x", task("a", says)))
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        (disk / "filler").write_bytes(bytes(40_000))
        done = run_command(["sh", "-c", f"{factotum_command()} run job > disk/out"], cwd=tmp_path)
        shown = (disk / "out").read_bytes()

    assert done.exit == 0
    assert shown.startswith(b"[a] 100000\n[a] 100001\n")
    lines = shown.splitlines()
    assert lines[-2:] == [b"[a] once more", b"1/1 tasks run in " + lines[-1].split()[-1]]
    (notice,) = [line for line in lines if b"bytes of output were lost here" in line]
    assert notice.endswith(b"No space left on device]")
    assert int(notice.split()[0][1:]) > 300_000
    assert done.err.count("standard output cannot be written") == 1
    assert "bytes of standard output are lost" in done.err
