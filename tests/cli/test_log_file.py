"""The log file itself: whose it is, and what may stand in its place already. Real processes."""

import contextlib
import os
import stat

import pytest

from support.builders.factfiles import CHAIN
from support.commands import factotum_command, run_command


@pytest.fixture
def run(tmp_path):
    (tmp_path / "job").write_text(CHAIN)

    def make(umask="022", timeout=60.0):
        script = f'umask {umask}; exec "$0" run job'
        return run_command(["sh", "-c", script, factotum_command()], cwd=tmp_path, timeout=timeout)

    return make


@pytest.fixture
def log(tmp_path):
    return tmp_path / ".factotum" / "factotum.log"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_new_log_is_its_owners_alone_whatever_the_umask(umask, run, log):
    assert run(umask).exit == 0

    assert mode(log) == 0o600
    assert mode(log.parent) & 0o700 == 0o700
    assert "is job 'chain' with 3 tasks" in log.read_text()


@pytest.mark.parametrize("chosen", [0o600, 0o640, 0o644, 0o666])
def test_log_that_stands_there_already_is_appended_to_and_keeps_its_mode(chosen, run, log):
    log.parent.mkdir()
    log.write_text("before\n")
    log.chmod(chosen)

    assert run().exit == 0

    assert mode(log) == chosen
    assert log.read_text().startswith("before\n2")


@pytest.mark.parametrize("exists", [True, False])
def test_link_is_followed(exists, run, log, tmp_path):
    target = tmp_path / "elsewhere.log"
    log.parent.mkdir()
    log.symlink_to(target)
    if exists:
        target.write_text("before\n")
        target.chmod(0o640)

    assert run().exit == 0

    assert log.is_symlink()
    assert "is job 'chain'" in target.read_text()
    assert mode(target) == (0o640 if exists else 0o600)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_device_is_written_to_and_stays(device, run, log):
    log.parent.mkdir()
    log.symlink_to(device)

    assert run().exit == 0
    assert stat.S_ISCHR(log.stat().st_mode)


def stuff(pipe):
    writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, b"x" * 4096):
                pass
    finally:
        os.close(writer)


def test_pipe_is_written_to_and_one_that_nobody_reads_does_not_hold_up_the_run(run, log):
    log.parent.mkdir()
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run().exit == 0
        assert b"is job 'chain'" in os.read(reader, 1 << 16)
        stuff(log)

        stuffed = run(timeout=20)
    finally:
        os.close(reader)
    assert (stuffed.exit, stuffed.timed_out) == (0, False)


def test_log_that_cannot_be_written_is_told(run, log):
    log.mkdir(parents=True)

    done = run()

    assert done.exit == 3
    assert done.out.endswith("/.factotum/factotum.log'. Reason: is a directory\n")
