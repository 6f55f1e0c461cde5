"""What the tasks wrote down about themselves; see `recorded_task`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("recorded_task")


class Fact(StrEnum):
    """What happened to a task."""

    STARTED = "S"
    OVERLAPPED = "O"
    ENDED = "E"
    TOLD_TO_END = "T"


class Line(NamedTuple):
    """One fact.

    Attributes:
        pod: name of the Pod in which it happened.
        detail: group of a start, the other task of an overlap, code of an end.
    """

    fact: Fact
    pod: str
    task: str
    pid: int
    moment: float
    detail: str

    @property
    def job(self) -> str:
        """The job's name, which the Pod's begins with."""
        return _parts(self.pod)[0]

    @property
    def attempt(self) -> int:
        """The attempt that the Pod was made for."""
        return _parts(self.pod)[1]


def _parts(pod: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.+)-(\d+)-\d+-[0-9a-f]{8}", pod)
    if found is None:
        raise ValueError(f"{pod!r} is no name that the operator gives to a Pod")
    return found[1], int(found[2])


def parse(text: str) -> list[Line]:
    """Read a record; a last line that is still being written does not count."""
    whole = text[: text.rfind("\n") + 1]
    lines = []
    for line in whole.splitlines():
        fact, pod, task, pid, moment, detail = line.split(" ", 5)
        lines.append(Line(Fact(fact), pod, task, int(pid), float(moment), detail))
    return lines


def still_running(lines: Iterable[Line]) -> list[Line]:
    """Give the starts of tasks that have not ended and whose process is there."""
    ended = {(line.pod, line.task) for line in lines if line.fact in (Fact.ENDED, Fact.TOLD_TO_END)}
    return [
        line
        for line in lines
        if line.fact is Fact.STARTED
        and (line.pod, line.task) not in ended
        and _is_task(line.pid, line.detail)
    ]


def _is_task(pid: int, group: str) -> bool:
    try:
        return group.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
