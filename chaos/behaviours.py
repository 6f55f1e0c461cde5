"""What jobs a plan may have: one function a behaviour, in a table. Pure.

A behaviour says what the job is made of, what orders it gets while it runs, and what is to come of
it if nobody disturbs it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chaos.recording import SCRIPT
from support.builders.manifests import make_factfile, make_job, make_task

NO_OP_CODE = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        seconds: how long it takes.
        codes: its exit codes, of the first attempt, the second ...; the last goes for all others.
        code_on_term: what it returns when it is told to end.
    """

    name: str
    after: tuple[str, ...] = ()
    seconds: float = 0.1
    codes: tuple[int, ...] = (0,)
    code_on_term: int = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done to one job or its Pod.

    Attributes:
        kind: its name in `acts.SINGLE`.
        phase: of the job (`scene.phases_of`), from which on it is due.
        delay: seconds after that.
    """

    kind: str
    job: str
    phase: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a plan.

    Attributes:
        behaviour: its name in `TABLE`.
        group: what its job id follows from: jobs of one group have the same.
        expected: outcome and reason if nobody disturbs it; the states that go with it.
        spec: further fields of its spec.
        orders: what its owner does to it meanwhile.
    """

    name: str
    behaviour: str
    group: str
    tasks: tuple[Task, ...]
    expected: tuple[str, str]
    states: tuple[str, ...]
    spec: dict[str, Any] = field(default_factory=dict)
    orders: tuple[Act, ...] = ()

    def manifest(self, namespace: str, record: str) -> dict[str, Any]:
        """Build it, its tasks writing to a record."""
        tasks = []
        for task in self.tasks:
            arguments = [record, self.group, task.name, f"{task.seconds:g}"]
            arguments += [" ".join(map(str, task.codes)), str(task.code_on_term)]
            made = make_task(task.name, *task.after, command=str(SCRIPT), arguments=arguments)
            made["onResult"]["terminateJobWithSuccess"] = [NO_OP_CODE]
            tasks.append(made)
        factfile = make_factfile(data={"name": self.group, "tasks": tasks})
        return make_job(namespace, factfile, name=self.name, **self.spec)


def _seconds(chance: Random) -> float:
    # Most are over at once, some are there when something happens.
    return round(chance.choice((0.0, 0.1, chance.uniform(0.2, 1.0), chance.uniform(1.0, 3.0))), 2)


def _shape(chance: Random) -> list[Task]:
    """Give one task, a chain, or a diamond."""
    kind = chance.choice(("one", "chain", "chain", "diamond"))
    term = chance.choice((143, 143, 0))  # some oblige: that is no success either
    if kind == "diamond":
        after: tuple[tuple[str, ...], ...] = ((), ("t1",), ("t1",), ("t2", "t3"))
    else:
        count = 1 if kind == "one" else chance.randint(2, 4)
        after = tuple((f"t{n}",) if n else () for n in range(count))
    return [
        Task(name=f"t{n}", after=before, seconds=_seconds(chance), code_on_term=term)
        for n, before in enumerate(after, start=1)
    ]


def _spec(chance: Random, nodes: int) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if chance.random() < 0.3:
        spec["constraints"] = {"host": f"fake-{chance.randint(1, nodes)}"}
    if chance.random() < 0.3:
        spec["scheduling"] = "Eager"
    return spec


def _good(behaviour: str, name: str, group: str, tasks: list[Task], **more: Any) -> Job:
    return Job(
        name=name,
        behaviour=behaviour,
        group=group,
        tasks=tuple(tasks),
        expected=("SUCCEEDED", "Succeeded"),
        states=("SUCCEEDED",) * len(tasks),
        **more,
    )


def _with_code(tasks: list[Task], index: int, *codes: int) -> list[Task]:
    task = tasks[index]
    changed = Task(
        name=task.name,
        after=task.after,
        seconds=task.seconds,
        codes=codes,
        code_on_term=task.code_on_term,
    )
    return [*tasks[:index], changed, *tasks[index + 1 :]]


def _chain(chance: Random, count: int) -> list[Task]:
    return [
        Task(
            name=f"t{n}",
            after=(f"t{n - 1}",) if n > 1 else (),
            seconds=_seconds(chance),
        )
        for n in range(1, count + 1)
    ]


def plain(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """Every task succeeds."""
    return [_good("plain", name, group, _shape(chance), spec=_spec(chance, nodes))]


def _stopped_by(
    behaviour: str, chance: Random, name: str, group: str, nodes: int, code: int
) -> list[Job]:
    count = chance.randint(2, 4)
    index = chance.randrange(count)
    is_no_op = code == NO_OP_CODE
    if is_no_op and index == count - 1:
        index -= 1  # with something left to be skipped
    before, after = ("SUCCEEDED",) * index, ("SKIPPED",) * (count - index - 1)
    return [
        Job(
            name=name,
            behaviour=behaviour,
            group=group,
            tasks=tuple(_with_code(_chain(chance, count), index, code)),
            expected=("SUCCEEDED", "EarlyFinish") if is_no_op else ("FAILED", "TaskFailed"),
            states=(*before, "SUCCEEDED_NO_OP" if is_no_op else "FAILED", *after),
            spec=_spec(chance, nodes),
        )
    ]


def failing(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """One task of a chain fails."""
    return _stopped_by("failing", chance, name, group, nodes, chance.choice((1, 3, 64)))


def early(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """One task of a chain ends the job early, and well."""
    return _stopped_by("early", chance, name, group, nodes, NO_OP_CODE)


def retrying(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """One task fails once or twice, and the job may try that often again."""
    count, failures = chance.randint(1, 3), chance.randint(1, 2)
    tasks = _with_code(_chain(chance, count), chance.randrange(count), *(7,) * failures, 0)
    mode = chance.choice(("Resume", "Restart"))
    spec = _spec(chance, nodes)
    spec["retry"] = {"limit": failures, "backoffSeconds": chance.randint(0, 2), "mode": mode}
    return [_good("retrying", name, group, tasks, spec=spec)]


def _long(chance: Random, count: int) -> list[Task]:
    """A chain that is there long enough to be given orders."""
    return [
        Task(name=task.name, after=task.after, seconds=round(chance.uniform(1.0, 3.0), 2))
        for task in _chain(chance, count)
    ]


def suspended(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """Suspended before or while it runs, and told to run again."""
    first = chance.choice(("created", "claimed", "claimed"))
    orders = (
        Act(kind="suspend", job=name, phase=first, delay=round(chance.uniform(0, 1.5), 2)),
        Act(kind="run", job=name, phase="suspended", delay=round(chance.uniform(0, 2), 2)),
    )
    tasks = _long(chance, chance.randint(1, 3))
    return [_good("suspended", name, group, tasks, spec=_spec(chance, nodes), orders=orders)]


def resumed(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """One task fails in its first attempt; the job is told to go on from there."""
    count = chance.randint(1, 3)
    tasks = _with_code(_chain(chance, count), chance.randrange(count), 5, 0)
    order = Act(kind="resume", job=name, phase="failed", delay=round(chance.uniform(0, 1), 2))
    return [_good("resumed", name, group, tasks, spec=_spec(chance, nodes), orders=(order,))]


def cancelled(chance: Random, name: str, group: str, nodes: int) -> list[Job]:
    """Cancelled before or while it runs."""
    tasks = _long(chance, chance.randint(2, 3))
    phase = chance.choice(("created", "seen", "claimed", "claimed"))
    order = Act(kind="cancel", job=name, phase=phase, delay=round(chance.uniform(0, 1.0), 2))
    return [
        Job(
            name=name,
            behaviour="cancelled",
            group=group,
            tasks=tuple(tasks),
            expected=("FAILED", "Cancelled"),
            states=(),
            spec=_spec(chance, nodes),
            orders=(order,),
        )
    ]


def duplicate(chance: Random, name: str, group: str, nodes: int) -> list[Job]:  # noqa: ARG001
    """Two or three jobs of one job id: never together."""
    tasks = _shape(chance)
    return [
        _good("duplicate", f"{name}-{letter}", group, tasks)
        for letter in "abc"[: chance.randint(2, 3)]
    ]


Behaviour = Callable[[Random, str, str, int], list[Job]]

TABLE: dict[str, tuple[Behaviour, int]] = {
    "plain": (plain, 8),
    "failing": (failing, 3),
    "early": (early, 2),
    "retrying": (retrying, 2),
    "resumed": (resumed, 1),
    "suspended": (suspended, 2),
    "cancelled": (cancelled, 2),
    "duplicate": (duplicate, 2),
}
"""Behaviours by name, and how often each is drawn beside the others."""
