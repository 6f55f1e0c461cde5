"""The log file where something else stands in its place. Real links, pipes and devices."""

import os
import time

import pytest

from support.builders.factfiles import CHAIN
from support.commands import factotum_command, run_command

LINE = b"INFO factotum - Starting task"


@pytest.fixture
def place(tmp_path):
    """Where the log belongs."""
    (tmp_path / "job").write_text(CHAIN)
    (tmp_path / ".factotum").mkdir()
    return tmp_path / ".factotum/factotum.log"


def run(folder, more=""):
    return run_command(["sh", "-c", f"{factotum_command()} run job {more}"], cwd=folder)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(place, tmp_path, exists):
    place.symlink_to("../elsewhere.log")
    if exists:
        (tmp_path / "elsewhere.log").write_text("before\n")

    assert run(tmp_path).exit == 0

    assert place.is_symlink()
    assert LINE in (tmp_path / "elsewhere.log").read_bytes()
    assert (tmp_path / "elsewhere.log").read_text().startswith("before\n") is exists


def test_the_folder_may_be_a_link_to_one_that_is_not_there_yet(tmp_path):
    (tmp_path / "job").write_text(CHAIN)
    (tmp_path / ".factotum").symlink_to("logs")

    assert run(tmp_path).exit == 0

    assert LINE in (tmp_path / "logs/factotum.log").read_bytes()


def test_links_in_a_circle_are_told(place, tmp_path):
    place.symlink_to("factotum.log")

    done = run(tmp_path)

    assert done.exit == 3
    assert "Reason: too many levels of symbolic links" in done.out


def test_a_pipe_gets_the_lines(place, tmp_path):
    os.mkfifo(place)

    done = run(tmp_path, "& cat .factotum/factotum.log > got; wait")

    assert done.exit == 0
    assert LINE in (tmp_path / "got").read_bytes()
    assert place.is_fifo()


def test_a_pipe_that_is_not_read_does_not_hold_up_the_run(place, tmp_path):
    os.mkfifo(place)
    reader = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    filler = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
    while True:
        try:
            os.write(filler, bytes(4096))
        except BlockingIOError:
            break
    begun = time.monotonic()

    done = run(tmp_path)

    os.close(reader)
    os.close(filler)
    assert "3/3 tasks run" in done.out
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("through", ["", "| cat", "> file; cat file"])
def test_a_link_to_standard_output_adds_to_it(place, tmp_path, through):
    place.symlink_to("/dev/stdout")

    done = run(tmp_path, through)

    assert LINE in done.stdout
    assert done.stdout.count(b"[b] B\n") == 1
    assert b"3/3 tasks run" in done.stdout


def test_a_full_device_does_not_disturb_the_run(place, tmp_path):
    place.symlink_to("/dev/full")

    assert run(tmp_path).exit == 0
