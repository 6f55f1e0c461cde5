"""Files that the command writes: verdicts, graphs and the log, onto whatever stands there already.

Real files, links, pipes, devices and full disks (a small tmpfs, which needs root).
"""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.builders.factfiles import CHAIN
from support.commands import Signal, clean_environ, factotum_command, run_command
from support.disks import fill, small_disk

WRITERS = {
    "verdict": ("run", "job", "--verdict"),
    "graph": ("dot", "job", "--overwrite", "--output"),
}
MARKS = {"verdict": b'"format": "factotum-verdict/1"', "graph": b'digraph "chain" {'}


class Writer:
    """One of the commands that write a file, in a folder of its own."""

    def __init__(self, kind, folder):
        self.folder = folder
        self.mark = MARKS[kind]
        self._argv = [factotum_command(), *WRITERS[kind]]
        (folder / "job").write_text(CHAIN)

    def __call__(self, place, *, before="", after="", **options):
        """Write to a place; the words before and after belong to the shell."""
        script = f'{before} "$@" {after}'
        return run_command(
            ["sh", "-c", script, "sh", *self._argv, str(place)], cwd=self.folder, **options
        )

    def wrote(self, path):
        return self.mark in (self.folder / path).read_bytes()

    def names(self, *, under="."):
        return sorted(
            {path.name for path in (self.folder / under).iterdir()} - {"job", ".factotum"}
        )


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    return Writer(request.param, tmp_path)


def test_a_link_stays_and_its_target_is_written(write):
    (write.folder / "deep").mkdir()
    (write.folder / "deep/target").write_text("old" * 1000)
    (write.folder / "deep/middle").symlink_to("target")
    (write.folder / "link").symlink_to("deep/middle")

    assert write("link").exit == 0

    assert write.wrote("deep/target")
    assert "old" not in (write.folder / "deep/target").read_text()
    assert (write.folder / "link").readlink().name == "middle"
    assert write.names(under="deep") == ["middle", "target"]


def test_a_link_to_nothing_makes_its_target(write):
    (write.folder / "link").symlink_to("target")

    assert write("link").exit == 0

    assert write.wrote("target")
    assert (write.folder / "link").is_symlink()


def test_a_link_that_the_system_does_not_follow_is_an_error(write):
    # As it refuses others' links in /tmp, where that is switched on (fs.protected_symlinks).
    target = write.folder / "target"
    target.write_text("old")
    with small_disk(write.folder / "disk", 1 << 20, options="nosymfollow") as disk:
        (disk / "link").symlink_to(target)
        (disk / "to nothing").symlink_to(write.folder / "nothing")
        codes = [write(disk / name).exit for name in ("link", "to nothing")]

    assert codes == [3, 3]
    assert target.read_text() == "old"
    assert write.names() == ["disk", "target"]


def test_links_in_a_circle_are_an_error(write):
    (write.folder / "one").symlink_to("other")
    (write.folder / "other").symlink_to("one")

    done = write("one")

    assert done.exit == 3
    assert "Too many levels of symbolic links (os error 40)" in done.out + done.err
    assert write.names() == ["one", "other"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o4750])
def test_mode_and_owner_stay(write, mode):
    path = write.folder / "kept"
    path.write_text("old")
    os.chown(path, 4321, 1234)
    path.chmod(mode)

    assert write("kept").exit == 0

    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, 4321, 1234)
    assert write.wrote("kept")


def test_a_new_file_has_the_mode_that_the_umask_leaves(write):
    assert write("new", before="umask 027;").exit == 0

    assert stat.S_IMODE((write.folder / "new").stat().st_mode) == 0o640


def test_all_names_of_a_file_keep_meaning_the_same(write):
    (write.folder / "one").write_text("old" * 1000)
    (write.folder / "other").hardlink_to(write.folder / "one")

    assert write("one").exit == 0

    assert write.wrote("other")
    assert (write.folder / "other").samefile(write.folder / "one")


@pytest.mark.parametrize("place", ["folder", "folder/", "link"])
def test_a_folder_is_an_error_and_nothing_is_left(write, place):
    (write.folder / "folder").mkdir()
    (write.folder / "link").symlink_to("folder")

    done = write(place)

    assert done.exit == 3
    assert "Is a directory (os error 21)" in done.out + done.err
    assert write.names() == ["folder", "link"]
    assert write.names(under="folder") == []


def test_a_pipe_is_written_to_and_stays(write):
    os.mkfifo(write.folder / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((write.folder / "pipe").read_bytes()))
    reader.start()

    assert write("pipe").exit == 0

    reader.join()
    assert write.mark in received[0]
    assert (write.folder / "pipe").is_fifo()
    assert write.names() == ["pipe"]


def test_a_pipe_s_reader_may_come_late(write):
    os.mkfifo(write.folder / "pipe")

    done = write("pipe", before="(sleep 0.7; cat pipe > got) & ", after="; wait")

    assert done.exit == 0
    assert write.wrote("got")


def test_the_wait_for_a_pipe_s_reader_ends_by_a_signal(tmp_path):
    write = Writer("verdict", tmp_path)
    os.mkfifo(tmp_path / "pipe")

    done = write(
        "pipe", before="exec", signals=[Signal(signal.SIGTERM, after_text="'c': succ", after_s=0.5)]
    )

    assert (done.exit, done.timed_out) == (3, False)
    assert "cannot be written to 'pipe'" in done.out


@pytest.mark.parametrize(
    ("place", "stream"),
    [
        ("/dev/stdout", 1),
        ("/dev/stderr", 2),
        ("/dev/fd/1", 1),
        ("/proc/self/fd/2", 2),
        ("/proc/thread-self/fd/1", 1),
        ("link", 1),
    ],
)
@pytest.mark.parametrize("through", ["pipe", "file"])
def test_standard_streams_are_written_to(write, place, stream, through):
    (write.folder / "link").symlink_to("/dev/stdout")
    after = ">one 2>other; code=$?; cat one; cat other >&2; exit $code" if through == "file" else ""

    done = write(place, after=after)

    assert done.exit == 0
    assert (write.mark in done.stdout, write.mark in done.stderr) == (stream == 1, stream == 2)
    assert (write.folder / "link").is_symlink()


def test_another_descriptor_is_written_to_where_it_stands(write):
    (write.folder / "seventh").write_text("before\n")

    done = write("/dev/fd/7", after="7>>seventh")

    assert done.exit == 0
    assert (write.folder / "seventh").read_text().startswith("before\n")
    assert write.wrote("seventh")


@pytest.mark.parametrize("number", [*range(3, 12), 10**30])
def test_a_descriptor_that_was_not_given_is_an_error(write, number):
    done = write(f"/dev/fd/{number}")

    assert done.exit == 3
    assert "Bad file descriptor (os error 9)" in done.out + done.err
    assert write.mark not in (write.folder / ".factotum/factotum.log").read_bytes()


def test_a_descriptor_that_is_only_read_from_is_an_error(write):
    done = write("/dev/stdin", after="< job")

    assert done.exit == 3
    assert "Bad file descriptor (os error 9)" in done.out + done.err


def test_devices_stay(write):
    done = write("/dev/null")
    full = write("/dev/full")

    assert (done.exit, full.exit) == (0, 3)
    assert "No space left on device (os error 28)" in full.out + full.err
    assert Path("/dev/null").stat().st_rdev == os.makedev(1, 3)
    assert Path("/dev/full").stat().st_rdev == os.makedev(1, 7)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(write):
    with small_disk(write.folder / "disk", 16 * 1024) as disk:
        (disk / "old").write_text("old")
        (disk / "twice").write_text("")
        (disk / "again").hardlink_to(disk / "twice")
        fill(disk)
        for place in ("disk/old", "disk/new", "disk/twice"):
            done = write(place)

            assert done.exit == 3
            assert "No space left on device (os error 28)" in done.out + done.err
        assert (disk / "old").read_text() == "old"
        assert (disk / "twice").read_text() == ""
        assert sorted(path.name for path in disk.iterdir()) == ["again", "filler", "old", "twice"]


def test_a_limit_of_size_leaves_the_old_file(write):
    (write.folder / "old").write_text("old")

    done = write("old", before="ulimit -f 0;", after=">/dev/null")

    assert done.exit == 3
    assert (write.folder / "old").read_text() == "old"
    assert write.names() == ["old"]


def test_a_file_that_is_mounted_is_written_over(write):
    (write.folder / "inner").write_text("inner" * 1000)
    (write.folder / "outer").touch()
    subprocess.run(["mount", "--bind", write.folder / "inner", write.folder / "outer"], check=True)
    try:
        assert write("outer").exit == 0
    finally:
        subprocess.run(["umount", write.folder / "outer"], check=True)

    assert write.wrote("inner")
    assert write.names() == ["inner", "outer"]


def test_a_file_with_an_attribute_keeps_it(write):
    path = write.folder / "marked"
    path.touch()
    os.setxattr(path, "user.note", b"mine")

    assert write("marked").exit == 0

    assert os.getxattr(path, "user.note") == b"mine"
    assert write.wrote("marked")


AS_OTHER = """
import hashlib, json, os, select, sys
import factotum.cli.commands.dot, factotum.cli.commands.run, factotum.cli.output.writing
import factotum.core.run.saved_run, factotum.runner.runner
from factotum.cli.main import main
os.setgroups([])
os.setresgid(4321, 4321, 4321)
os.setresuid(4321, 4321, 4321)  # now that all is read, where others may not read
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "exit_code"),
    [(0o755, 0o666, 0), (0o777, 0o444, 3), (0o1777, 0o666, 0), (0o755, None, 3)],
    ids=["folder not ours", "file not ours", "sticky folder", "no file, folder not ours"],
)
def test_what_may_be_written_is_written_as_another_user(
    tmp_path, folder_mode, file_mode, exit_code
):
    for kind, words in WRITERS.items():
        place = tmp_path / kind
        place.mkdir()
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "work/job").write_text(CHAIN)
        (tmp_path / "work").chmod(0o777)
        if file_mode is not None:
            (place / "file").write_text("old" * 1000)
            (place / "file").chmod(file_mode)
        place.chmod(folder_mode)
        with reachable(tmp_path):
            done = subprocess.run(
                [sys.executable, "-c", AS_OTHER, *words, f"../{kind}/file"],
                cwd=tmp_path / "work",
                env=clean_environ(tmp_path),
                capture_output=True,
                check=False,
            )

        assert done.returncode == exit_code, done
        assert [path.name for path in place.iterdir()] == ([] if file_mode is None else ["file"])
        if file_mode is not None:
            is_written = MARKS[kind] in (place / "file").read_bytes()
            assert is_written is (exit_code == 0)
            assert (place / "file").stat().st_uid == os.getuid()


@contextlib.contextmanager
def reachable(folder):
    """Let everybody into a folder: pytest's are for their owner only."""
    closed = [path for path in (folder, *folder.parents) if not path.stat().st_mode & stat.S_IXOTH]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in closed}
    for path, mode in modes.items():
        path.chmod(mode | stat.S_IXOTH)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_graph_replaces_no_file_unasked_but_goes_into_pipes(tmp_path):
    write = Writer("graph", tmp_path)
    write._argv.remove("--overwrite")
    (tmp_path / "old").write_text("old")
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "free").symlink_to("new")

    assert [write(place).exit for place in ("old", "link", "free")] == [3, 3, 0]
    assert (tmp_path / "old").read_text() == "old"
    assert write.wrote("new")
    assert write.mark in write("/dev/stdout").stdout
