"""The parts of the model cluster that only hold state: time, runners, their Pods and requests."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from factotum.core.wire.reports import Report
from support.builders import jobs


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when told."""

    moment = 0.0

    def time(self) -> float:
        return self.moment

    def drain(self) -> None:
        """Run whatever can run now."""
        while self._ready:  # type: ignore[attr-defined]  # asyncio offers no other way to see it
            self.call_soon(self.stop)
            self.run_forever()


@dataclass(slots=True, eq=False)
class Call:
    """A runner's request on its way to the controller and back."""

    runner: "Runner"
    payload: Report | None
    task: "asyncio.Task[Any] | None" = None


@dataclass(slots=True, eq=False)
class Runner:
    """One runner process, as far as the controller could tell.

    Attributes:
        letters: its tasks; None until its claim is granted.
        call: the request it waits for.
        told: the controller has acknowledged its verdict.
        dismissed: the controller does not want to hear of it any more.
    """

    pod: dict[str, Any]
    claim_id: str
    letters: list[str] | None = None
    sequence: int = 0
    interrupted: int = 0
    final: bool = False
    started: bool = False
    stopping: bool = False
    alive: bool = True
    told: bool = False
    dismissed: bool = False
    call: Call | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it did everything it had to."""
        return self.final and not self.interrupted and set(self.letters or "F") == {"S"}

    def report(self) -> Report:
        """Return what it would report now."""
        states = "".join(self.letters or ())
        return jobs.make_report(
            states,
            claim_id=self.claim_id,
            sequence=self.sequence,
            final=self.final,
            interrupted=self.interrupted,
        )


@dataclass(slots=True, eq=False)
class Box:
    """A Pod on its node: its processes and the termination message file.

    Attributes:
        ended_at: the watch event that told of its end with its message.
    """

    pod: dict[str, Any]
    runners: list[Runner] = field(default_factory=list)
    log: bytes = b""
    exit_code: int = 0
    evicted: bool = False
    ended_at: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing runs in it any more."""
        return bool(self.runners) and not any(r.alive for r in self.runners)
