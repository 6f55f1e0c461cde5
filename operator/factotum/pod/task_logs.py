"""The output of a run as files: one task's apart from the others', and none larger than allowed.

For a server that shows them; in a Pod the kubelet keeps what is printed. A file's
name says where its first byte stands in the whole output (``3@0.log``), so a reader
finds its place again, also behind a gap: of what is too long the beginning and the
end are kept.
"""

from __future__ import annotations

import contextlib
import os

from factotum.core.run.output import OutputTail
from factotum.runner.console import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.core.run.execution import Execution
    from factotum.pod.surroundings import Surroundings

WHOLE = "run"
"""Names the output of all tasks and the runner's own words, in the order they came."""
_PIECES = 4
"""A quarter of the room is the beginning's, and up to three are the end's."""


def file_name(name: str, offset: int) -> str:
    """Return what a piece of an output is called."""
    return f"{name}@{offset}.log"


class OutputFile:
    """One output in files. What cannot be written is left out: the run goes on.

    Args:
        folder: where the files are.
        name: of the output.
        size: bytes that may be kept.
    """

    def __init__(self, folder: str, name: str, size: int) -> None:
        self._folder = folder
        self._name = name
        self._piece_size = max(1, size // _PIECES)
        self._written = 0  # bytes ever
        self._room = 0  # bytes that the newest piece may still take
        self._pieces: list[int] = []  # their offsets

    def append(self, data: bytes) -> None:
        """Write whole lines."""
        view, end = memoryview(data), self._written + len(data)
        try:
            while view:
                if self._room <= 0:
                    self._begin_piece()
                # A line is not cut, unless it is longer than a piece.
                part = view if len(view) <= self._room else view[: self._cut(view)]
                self._write(part)
                view = view[len(part) :]
        except OSError:
            # A full disk: what is missing leaves a gap, and the next lines are tried again.
            if self._pieces and self._room == self._piece_size:
                # Nothing got into the newest piece, which may not even be there.
                with contextlib.suppress(OSError):
                    os.unlink(self._path(self._pieces.pop()))  # noqa: PTH108 - as above
            self._written, self._room = end, 0

    def _cut(self, view: memoryview) -> int:
        end = bytes(view[: self._room]).rfind(b"\n") + 1
        return end or self._room

    def _begin_piece(self) -> None:
        self._pieces.append(self._written)
        while len(self._pieces) > _PIECES:
            os.unlink(self._path(self._pieces.pop(1)))  # noqa: PTH108 - pathlib costs start-up
        self._room = self._piece_size

    def _path(self, offset: int) -> str:
        return f"{self._folder}/{file_name(self._name, offset)}"

    def _write(self, view: memoryview) -> None:
        # Not kept open: a run may have thousands of tasks, and descriptors are few.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path(self._pieces[-1]), flags, 0o600)
        try:
            while view:
                count = os.write(descriptor, view)
                self._room -= count
                self._written += count
                view = view[count:]
        finally:
            os.close(descriptor)
        if self._room < self._piece_size // 16:
            self._room = 0  # the next line begins the next piece


class TaskOutput(OutputTail):
    """One stream of a task: kept in the task's file, and its end for events if there are any."""

    __slots__ = ("_file", "_is_told")

    def __init__(self, file: OutputFile, characters: int | None) -> None:
        super().__init__(characters or 0)
        self._file = file
        self._is_told = characters is not None

    def append(self, lines: bytes) -> None:
        """Add text."""
        self._file.append(lines)
        if self._is_told:
            super().append(lines)


def keep_output(execution: Execution, surroundings: Surroundings, characters: int | None) -> None:
    """Keep the output of each task of a run.

    Args:
        characters: how much of each stream goes into events; None: there are none.
    """
    for run in execution.task_runs:
        file = OutputFile(surroundings.log_folder, str(run.index), surroundings.log_size)
        run.stdout, run.stderr = TaskOutput(file, characters), TaskOutput(file, characters)


class FileConsole(Console):
    """Puts into a file what a person would read on two streams."""

    def __init__(self, file: OutputFile) -> None:
        super().__init__(colour=False)
        self._file = file

    def flush(self) -> None:
        """Write everything gathered so far."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._file.append(data)
