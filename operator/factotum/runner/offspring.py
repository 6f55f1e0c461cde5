"""Finds what tasks have started, so that a shutdown reaches the programs and not only their shells.

By descent from the shells, by the tasks' groups where they have some, and among the orphans that
this process has adopted. What has made a session of its own has left for good and is spared.
"""

from __future__ import annotations

import os
from time import CLOCK_BOOTTIME, clock_gettime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from factotum.runner.processes import Process


class _Entry:
    """A line of the system's table of processes."""

    __slots__ = ("begun", "group", "is_dead", "parent", "session")

    def __init__(self, fields: list[bytes]) -> None:
        self.is_dead = fields[0] in (b"Z", b"X")
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.begun = int(fields[19])
        """In ticks since the machine's start; with the number, who a process is."""


class Offspring:
    """Everything that tasks have started and that is still alive.

    Args:
        own_groups: Whether each task leads a process group of its own.
        adopts: Whether orphans become children of this process.
        some_fd: Any open descriptor; a copy of it keeps a place free for looking, since a wide
            level may take all that there are.
    """

    def __init__(self, *, own_groups: bool, adopts: bool, some_fd: int) -> None:
        self._some_fd = some_fd
        self._spare = os.dup(some_fd)
        self._own_groups = own_groups
        self._adopts = adopts
        self._since = int(clock_gettime(CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        self._seen: dict[int, int] = {}

    def find(self, processes: Iterable[Process]) -> dict[int, int]:
        """Return the living processes of these tasks, and the group of each.

        Also those found before, when what led to them was still there.
        """
        table = self._look()
        if not table:  # no /proc: the shells and their groups are all that is known
            own = 0 if self._own_groups else os.getpgrp()
            return {each.pid: own or each.pid for each in processes if each.status is None}
        roots = self._find_roots(list(processes), table)
        found = _with_descendants(roots, table)
        self._seen = {pid: table[pid].begun for pid in found}
        return {pid: table[pid].group for pid in found if not table[pid].is_dead}

    def close(self) -> None:
        """Give the place back that was kept free."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _look(self) -> dict[int, _Entry]:
        self.close()
        table = _read_table()
        try:  # noqa: SIM105 - contextlib costs start-up
            self._spare = os.dup(self._some_fd)
        except OSError:
            pass  # somebody was faster; the next look has to do without
        return table

    def _find_roots(self, processes: list[Process], table: dict[int, _Entry]) -> set[int]:
        shells = {each.pid for each in processes if each.status is None}
        roots = {pid for pid in shells if pid in table}
        roots |= {
            pid for pid, begun in self._seen.items() if pid in table and table[pid].begun == begun
        }
        if self._own_groups:
            # A leader that is there though the shell was reaped is a stranger with its number.
            groups = {each.pid for each in processes if each.pid in shells or each.pid not in table}
            roots |= {pid for pid, entry in table.items() if entry.group in groups}
        if self._adopts:
            own = os.getpid()
            roots |= {
                pid
                for pid, entry in table.items()
                if entry.parent == own and entry.begun >= self._since
            }
        return roots


def _with_descendants(roots: set[int], table: dict[int, _Entry]) -> list[int]:
    """Return the roots in this session with all that descends from them, parents first.

    A shell whose program died before it had its own signal would go on with the next one.
    """
    session = os.getsid(0)
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found: set[int] = set()
    open_ends = list(roots)
    while open_ends:
        pid = open_ends.pop()
        if pid not in found and table[pid].session == session:
            found.add(pid)
            open_ends += children.get(pid, ())
    ordered = [pid for pid in found if table[pid].parent not in found]
    for pid in ordered:  # grows meanwhile
        ordered += [child for child in children.get(pid, ()) if child in found]
    return ordered


def _read_table() -> dict[int, _Entry]:
    table = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib costs start-up
    except OSError:
        return {}
    for name in names:
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                    # Behind the name, which stands in parentheses and may contain anything.
                    table[int(name)] = _Entry(file.read().rpartition(b")")[2].split())
            except (OSError, ValueError, IndexError):
                pass  # it has just gone
    return table
