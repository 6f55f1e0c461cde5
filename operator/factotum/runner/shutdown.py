"""Ends running tasks: TERM to all that they have started, a grace period, then KILL."""

from __future__ import annotations

import os
from time import monotonic, sleep

from factotum.runner import signals
from factotum.runner.offspring import Offspring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from factotum.runner.console import Console
    from factotum.runner.loop import Loop
    from factotum.runner.processes import Process

_ABANDON_SECONDS = 1.0
"""How long after KILL a task's pipes may stay open, in something that escaped its session."""

_LOOK_SECONDS = 0.03
"""How often what has lost its shell is looked at: nothing tells of the end of grandchildren."""


class Shutdown:
    """The course of events once a run has been told to stop."""

    def __init__(
        self,
        loop: Loop,
        output: Console,
        processes: Mapping[int, Process],
        *,
        own_groups: bool,
        adopts: bool,
        grace_seconds: float,
        on_begin: Callable[[], None] | None,
    ) -> None:
        self._loop = loop
        self._output = output
        self._offspring = Offspring(own_groups=own_groups, adopts=adopts, some_fd=loop.wake_write)
        self._own_groups = own_groups
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
        # One that is stopped would not see the signal before it is continued.
        self._signal(self._told, signals.SIGTERM, signals.SIGCONT)
        self._kill_at = monotonic() + self._grace_seconds
        self._loop.call_at(self._kill_at, self._kill)

    def finish(self) -> None:
        """Once all tasks have ended: end what they left behind."""
        while self._told and self._offspring.find(self._told):
            if monotonic() >= self._kill_at:
                self._signal(self._told, signals.SIGKILL)
                return
            sleep(_LOOK_SECONDS)

    def kill(self, processes: Iterable[Process]) -> None:
        """End these tasks at once; nobody waits for them any more."""
        self._signal(list(processes), signals.SIGKILL)

    def close(self) -> None:
        """Give back what was held."""
        self._offspring.close()

    def _kill(self) -> None:
        left = [process for process in self._told if not process.ended]
        if not left:
            return
        self._output.out(f"Force-killing {len(left)} remaining process(es)...\n")
        self._output.flush()
        self._signal(self._told, signals.SIGKILL)
        self._loop.call_at(monotonic() + _ABANDON_SECONDS, self._abandon)

    def _abandon(self) -> None:
        for process in self._told:
            if not process.ended:
                process.abandon()

    def _signal(self, processes: list[Process], *numbers: int) -> None:
        """Send signals, each to everybody before the next one, and to nobody twice."""
        found = self._offspring.find(processes)
        groups: set[int] = set()
        if self._own_groups:
            # A whole group at once: nobody in it starts another process meanwhile.
            groups = {process.pid for process in processes}.intersection(found.values())
        for number in numbers:
            for group in groups:
                _send(os.killpg, group, number)
            for pid, group in found.items():
                if group not in groups:
                    _send(os.kill, pid, number)


def _send(send: Callable[[int, int], None], receiver: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib costs start-up
        send(receiver, number)
    except (ProcessLookupError, PermissionError):
        pass  # ended, or became another user's
