"""`--progress` on real pseudo-terminals, whose screen is kept by an emulator.

Nothing of the block may be left on the screen or in what has scrolled off, and nothing else
may be missing.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte
import pytest

from support.builders.factfiles import factfile, task
from support.commands import clean_environ, factotum_command


class Screen:
    """A run in a terminal, and what is to be seen there."""

    def __init__(self, tmp_path, tasks, columns, rows):
        (tmp_path / "job").write_text(factfile("x", *tasks))
        self.columns = columns
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.ByteStream(self.screen)
        self._fd, other = pty.openpty()
        self.resize(columns, rows)
        self._process = subprocess.Popen(
            [factotum_command(), "run", "job", "--progress", "--no-colour"],
            cwd=tmp_path,
            env=clean_environ(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=other,
            stderr=other,
        )
        os.close(other)

    def resize(self, columns, rows):
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def watch(self, seconds):
        """Take what is written for so long; say whether there may be more."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                try:
                    part = os.read(self._fd, 1 << 16)
                except OSError:
                    return False  # how a terminal ends
                self._stream.feed(part)
        return True

    def finish(self):
        """Watch to the end and return all lines, those that have scrolled off first."""
        while self.watch(1):
            pass
        assert self._process.wait() == 0
        off = [
            "".join(row[column].data for column in range(self.columns))
            for row in self.screen.history.top
        ]
        lines = [line.rstrip() for line in [*off, *self.screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def end(self):
        self._process.kill()
        self._process.wait()
        os.close(self._fd)

    def watch_until(self, word):
        """Take what is written until the screen shows a word: the command may start slowly."""
        end = time.monotonic() + 15
        while not any(word in line for line in self.shown()) and time.monotonic() < end:
            self.watch(0.05)

    def shown(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def terminal(tmp_path):
    """Start runs in terminals of so many columns and rows."""
    runs = []

    def start(tasks, columns, rows):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        runs.append(Screen(folder, tasks, columns, rows))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


def of_block(lines):
    return [line for line in lines if line.startswith("  ") or " done" in line]


def unwrapped(lines, columns):
    """Return all text in a row: where a narrow terminal breaks it does not matter."""
    return "".join(line.ljust(columns) for line in lines).replace(" ", "")


NAMES = {
    "plain": ["gather", "sort"],
    "many": [f"part{number}" for number in range(15)],
    "double width": ["数据下载与清洗任务" * 4, "短"],
    "narrow and wide": ["aé数" * 20 + "b", "\uff46\uff55\uff4c\uff4c" * 9],
    "combining": ["e\u0301\u0302\u0323" * 40, "ก็ำ" * 20, "\u1112\u1161\u11ab" * 20],
    "emoji": ["👨\u200d👩\u200d👧" * 12, "❤\ufe0f🇨🇿👍🏽" * 12],
    "nothing to see": ["a\u200b\u200e\ufeffb" * 30, "\u202eabc\u00ad"],
    "tabs": ["tab\tand\ttab" * 12, "\t\t"],
}
CUT_SHORT = {"combining", "emoji", "nothing to see"}
"""Here the emulator drops what follows in a line of ordinary output."""

SIZES = [(80, 24), (80, 5), (30, 24), (12, 4), (9, 3), (40, 2), (20, 1), (4, 6)]


@pytest.mark.parametrize("kind", NAMES)
def test_block_leaves_nothing_behind(terminal, kind):
    tasks = [task(name, "sleep 1.3; echo said") for name in NAMES[kind]]
    runs = {size: terminal(tasks, *size) for size in SIZES}

    for (columns, rows), run in runs.items():
        lines = run.finish()

        text = unwrapped(lines, columns)
        assert "done" not in text, (columns, rows, lines)
        assert "running" not in text, (columns, rows, lines)
        if kind not in CUT_SHORT:
            seen = {word: text.count(word) for word in ("wasstarted", "said", "succeeded")}
            assert set(seen.values()) == {len(tasks)}, (columns, rows, lines)


@pytest.mark.parametrize(
    ("columns", "rows", "last"),
    [
        (80, 24, "0/2 done, 2 running, 0 waiting, "),
        (20, 3, "0/2 done, 2 runnin…"),
        (9, 2, "0/2 don…"),
    ],
)
def test_block_fits_the_terminal(terminal, columns, rows, last):
    run = terminal([task(name, "sleep 1") for name in ("one", "two")], columns, rows)
    run.watch_until(last)

    shown = run.shown()

    run.finish()
    assert shown[-1].startswith(last)
    assert len(shown) <= rows - 1 or rows > 20


def test_tasks_that_find_no_room_are_counted(terminal):
    run = terminal([task(f"t{number}", "sleep 1") for number in range(9)], 60, 6)
    run.watch_until("0/9")

    shown = run.shown()

    run.finish()
    assert [line[:3] for line in shown[-5:]] == ["  t", "  t", "  t", "  a", "0/9"]
    assert shown[-2] == "  and 6 more"


@pytest.mark.parametrize(
    "sizes", [[(40, 24), (80, 24)], [(80, 6), (80, 24), (80, 3)], [(25, 5), (100, 40)]]
)
def test_terminal_may_change_its_size_meanwhile(terminal, sizes):
    talk = "for i in 1 2 3 4 5 6; do sleep 0.5; echo x; done"
    names = ("first of two long names here", "数据下载与清洗任务数据下载与清洗任务")
    run = terminal([task(name, talk) for name in names], 80, 24)
    run.watch(0.7)
    for size in sizes:
        run.resize(*size)
        run.watch(0.8)

    lines = run.finish()

    assert of_block(lines) == []
    assert lines[-1].startswith("2/2 tasks run in")


def test_output_while_the_block_is_there_stays_complete(terminal):
    count = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 1.2; echo over"
    lines = terminal(
        [task("a", count), task("b", "sleep 1.1; printf half; sleep 0.4")], 60, 8
    ).finish()

    said = [line for line in lines if line.startswith("[a] line")]
    assert said == [f"[a] line {number}" for number in range(300)]
    assert "[b] half" in lines
    assert of_block(lines) == []


def test_terminal_that_is_held_gets_no_heap_of_blocks(terminal):
    run = terminal([task("a", "sleep 4; echo said")], 60, 8)
    run.watch(0.5)
    termios.tcflow(run._fd, termios.TCOOFF)
    time.sleep(2.5)
    termios.tcflow(run._fd, termios.TCOON)

    lines = run.finish()

    assert of_block(lines) == []
    assert "[a] said" in lines


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("数据下载", 8, "数据下载"),
        ("数据下载", 7, "数据下…"),
        ("数据下载", 6, "数据…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301e", 3, "e\u0301e\u0301…"),
        ("a\tb\x1b[2Jc\r\n\x9b\u202e", 20, "a?b?[2Jc????"),
    ],
)
def test_names_are_cut_by_columns(text, columns, shown):
    from factotum.cli.output.columns import cut

    assert cut(text, columns) == shown
