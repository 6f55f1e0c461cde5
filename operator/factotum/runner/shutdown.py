"""Ends running tasks: TERM to their process groups, a grace period, then KILL."""

from __future__ import annotations

import os
from time import monotonic, sleep

from factotum.runner import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from factotum.runner.console import Console
    from factotum.runner.loop import Loop
    from factotum.runner.processes import Process, ShellSpawner

_ABANDON_SECONDS = 1.0
"""How long after KILL a task's pipes may stay open, in something that escaped its group."""

_LOOK_SECONDS = 0.02
"""How often a group without a leader is looked at: nothing tells of the end of grandchildren."""


class Shutdown:
    """The course of events once a run has been told to stop."""

    def __init__(
        self,
        loop: Loop,
        output: Console,
        spawner: ShellSpawner,
        processes: Mapping[int, Process],
        *,
        grace_seconds: float,
        on_begin: Callable[[], None] | None,
    ) -> None:
        self._loop = loop
        self._output = output
        self._spawner = spawner
        self._processes = processes
        self._grace_seconds = grace_seconds
        self._on_begin = on_begin
        self._told: list[Process] = []
        self._kill_at = 0.0

    def begin(self, *, by_signal: bool) -> None:
        """Ask all running tasks to end, and see to it that they do."""
        # Neither do readers get more time to take what is written.
        self._output.outlets.wait_at_most(self._grace_seconds)
        if by_signal:
            self._output.out("\nReceived shutdown signal, terminating gracefully...\n")
        if self._on_begin is not None:
            self._on_begin()
        self._told = [process for process in self._processes.values() if not process.ended]
        if not self._told:
            return
        count = len(self._told)
        self._output.out(f"Terminating {count} child process(es) gracefully...\n")
        self._output.flush()
        for process in self._told:
            self._spawner.signal(process.pid, signals.SIGTERM)
            # One that is stopped would not see the signal above until it is continued.
            self._spawner.signal(process.pid, signals.SIGCONT)
        self._kill_at = monotonic() + self._grace_seconds
        self._loop.call_at(self._kill_at, self._kill)

    def finish(self) -> None:
        """Once all tasks have ended: end what they left behind in their groups."""
        if not self._spawner.own_groups:
            return
        groups = {process.pid for process in self._told}
        while groups := _find_living(groups):
            if monotonic() >= self._kill_at:
                for group in groups:
                    self._spawner.signal(group, signals.SIGKILL)
                return
            sleep(_LOOK_SECONDS)

    def _kill(self) -> None:
        left = [process for process in self._told if not process.ended]
        if not left:
            return
        self._output.out(f"Force-killing {len(left)} remaining process(es)...\n")
        self._output.flush()
        for process in left:
            self._spawner.signal(process.pid, signals.SIGKILL)
        self._loop.call_at(monotonic() + _ABANDON_SECONDS, self._abandon)

    def _abandon(self) -> None:
        for process in self._told:
            if not process.ended:
                process.abandon()


def _find_living(groups: set[int]) -> set[int]:
    """Return the process groups that have members which are not just waiting to be reaped."""
    left = {group for group in groups if _has_members(group)}
    if not left or not os.access("/proc/self/stat", os.R_OK):
        return left
    living = set()
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs start-up
        if name.isdecimal():
            state, group = _read_state(name)
            if group in left and state not in ("Z", "X"):
                living.add(group)
    return living


def _read_state(pid: str) -> tuple[str, int]:
    """Return a process's state and its group."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            # Behind the name, which stands in parentheses and may contain anything.
            state, _, group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return "X", 0  # it has just gone
    return state.decode(), int(group)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, but another user's
    return True
