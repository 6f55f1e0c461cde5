"""What will be done: jobs and disturbances, a pure function of seed and sizes.

Nothing in a plan is a time of day. A job is made when there is room for it, a disturbance comes
when so much of the run is over, an act on a job when that job has got so far: a slow machine runs
the same plan as a quick one.
"""

import dataclasses
import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from chaos import behaviours
from chaos.behaviours import Act, Job

REPLICAS = 2
NODES = 4
WORKERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something done to the whole.

    Attributes:
        kind: its name in `acts.WHOLE`.
        after: how much of the run is over then, from 0 to 1.
        delay: seconds after that.
        seconds: how long it lasts.
        number: a number that chooses whom it hits.
    """

    kind: str
    after: float
    delay: float
    seconds: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """A kind of disturbance of the whole: how long it lasts, and how often it is drawn."""

    shortest: float
    longest: float
    weight: int = 1


WHOLE: Mapping[str, Lasting] = {
    "operator killed": Lasting(shortest=0.0, longest=3.0, weight=3),
    "operator frozen": Lasting(shortest=0.5, longest=8.0, weight=2),
    "leader killed": Lasting(shortest=0.0, longest=3.0, weight=3),
    "leader frozen": Lasting(shortest=2.0, longest=20.0, weight=2),
    "API server killed": Lasting(shortest=0.0, longest=3.0, weight=2),
    "API server frozen": Lasting(shortest=0.5, longest=6.0),
    "Consul stopped": Lasting(shortest=1.0, longest=8.0),
    "Consul frozen": Lasting(shortest=1.0, longest=8.0),
    "lines cut": Lasting(shortest=0.0, longest=0.0, weight=2),
    "node not ready": Lasting(shortest=1.0, longest=8.0),
    "node cordoned": Lasting(shortest=1.0, longest=8.0),
    "node drained": Lasting(shortest=1.0, longest=4.0),
}

SINGLE: Mapping[str, tuple[Sequence[str], int]] = {
    "Pod deleted": (("seen", "seen", "claimed"), 2),
    "Pod deleted by force": (("seen", "claimed"), 2),
    "Pod orphaned": (("seen", "claimed"), 1),
    "Pod unlabelled": (("seen", "claimed"), 1),
    "Pod relabelled": (("seen", "claimed"), 1),
    "runner killed": (("seen", "claimed"), 1),
    "runner frozen": (("seen", "claimed"), 1),
    "job deleted": (("created", "seen", "claimed"), 1),
    "job deleted, Pods left": (("seen", "claimed"), 1),
}
"""What is done to one job or its Pod: from which phases on, and how often beside the others."""

SLOW = ("Pod deleted by force", "runner frozen")
"""What takes a minute to be told rightly, as it must; a quick run does it before the claim only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it."""

    seed: int
    jobs: tuple[Job, ...]
    whole: tuple[Disturbance, ...]
    single: tuple[Act, ...]

    def to_json(self) -> str:
        """Write it down; the same plan gives the same text."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"

    def digest(self) -> str:
        """Give a short name that differs between plans."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def acts_on(self, job: Job) -> list[Act]:
        """Give everything that is to be done to a job: its owner's orders and what hits it."""
        return [*job.orders, *(act for act in self.single if act.job == job.name)]

    def summary(self) -> str:
        """Say in a few lines what it holds."""
        jobs = Counter(job.behaviour for job in self.jobs)
        whole = Counter(each.kind for each in self.whole)
        single = Counter(each.kind for each in self.single)
        return "\n".join(
            f"{title}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
            for title, counted in (("jobs", jobs), ("whole", whole), ("single", single))
        )


def draw(seed: int, count: int, *, quick: bool = False) -> Plan:
    """Draw the plan of a seed, with that many jobs."""
    chance = random.Random(f"chaos/{seed}/{count}")  # noqa: S311 - no secrets
    jobs = _jobs(chance, seed, count)
    single = _single(chance, jobs, max(3, count // 5), quick=quick)
    whole = _whole(chance, max(4, count // 10))
    return Plan(seed=seed, jobs=tuple(jobs), whole=tuple(whole), single=tuple(single))


def _deck(chance: Random, weights: Mapping[str, int], count: int) -> list[str]:
    """Deal kinds so that all come about as often as their weights say."""
    cards: list[str] = []
    while len(cards) < count:
        fresh = [kind for kind, n in weights.items() for _ in range(n)]
        chance.shuffle(fresh)
        cards += fresh
    return cards[:count]


def _jobs(chance: Random, seed: int, count: int) -> list[Job]:
    weights = {name: weight for name, (_, weight) in behaviours.TABLE.items()}
    jobs: list[Job] = []
    for number, behaviour in enumerate(_deck(chance, weights, count), start=1):
        make, _ = behaviours.TABLE[behaviour]
        name = f"{behaviour}-{number}"
        jobs += make(chance, name, f"chaos-{seed}-{name}.", NODES)
    return jobs[:count]


def _single(chance: Random, jobs: Sequence[Job], count: int, *, quick: bool) -> list[Act]:
    weights = {kind: weight for kind, (_, weight) in SINGLE.items()}
    hit = chance.sample(jobs, min(count, len(jobs)))
    acts = []
    for kind, job in zip(_deck(chance, weights, len(hit)), hit, strict=True):
        phase = chance.choice(SINGLE[kind][0])
        if quick and kind in SLOW:
            phase = "seen"
        longest = 0.3 if phase == "seen" else 1.5
        delay = round(chance.uniform(0, longest), 2)
        acts.append(Act(kind=kind, job=job.name, phase=phase, delay=delay))
    return acts


def _whole(chance: Random, count: int) -> list[Disturbance]:
    weights = {kind: lasting.weight for kind, lasting in WHOLE.items()}
    kinds = _deck(chance, weights, count)
    moments = sorted(chance.uniform(0.02, 0.9) for _ in kinds)
    made = []
    for kind, moment in zip(kinds, moments, strict=True):
        lasting = WHOLE[kind]
        made.append(
            Disturbance(
                kind=kind,
                after=round(moment, 3),
                delay=round(chance.uniform(0, 1.0), 2),
                seconds=round(chance.uniform(lasting.shortest, lasting.longest), 2),
                number=chance.randrange(1000),
            )
        )
    return made
