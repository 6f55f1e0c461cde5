"""Replicas that elect on an API in memory: the real electors and fences, their time held.

Each replica's clock is its own.
"""

from datetime import timedelta

from factotum.controller.clock import HeldClock
from factotum.controller.leader.elector import Elector
from factotum.controller.leader.lease import Lease, Me
from factotum.controller.leader.term import Term
from factotum.kube import errors, paths
from factotum.kube.fenced import FencedApi, FencedError
from factotum.kube.memory import MemoryApi
from support.builders.jobs import NOW

LEASE = paths.item(paths.LEASES, "operator", "system")
POD = paths.collection(paths.PODS, "jobs")


class Replica:
    """One replica whose turns come when the test says so."""

    def __init__(self, api, name, *, process="1", skew=0.0, fit=True):
        self.clock = HeldClock(NOW + timedelta(seconds=skew))
        self.clock._seconds = skew
        self.lost = []
        self.term = Term(self.clock.boottime, self.lost.append)
        self.fit = fit
        self.me = Me(identity=name, process=process, address=f"{name}:1")
        self.elector = Elector(
            api,
            self.me,
            namespace="system",
            name="operator",
            term=self.term,
            clock=self.clock,
            is_fit=lambda: self.fit,
        )
        self.api = FencedApi(api, self.term.check)

    @property
    def leads(self):
        return self.elector.leads

    async def turn(self):
        return await self.elector.turn()

    async def writes(self):
        """Tell whether a write passes."""
        try:
            await self.api.create(POD, {"metadata": {"generateName": "p-"}})
        except FencedError:
            return False
        return True


class World:
    """An API server and what time passes for everybody."""

    def __init__(self):
        self.api = MemoryApi()
        self.replicas = []

    def replica(self, name, **fields):
        made = Replica(self.api, name, **fields)
        self.replicas.append(made)
        return made

    async def pass_time(self, seconds, *, without=()):
        """Have everybody take a turn each second."""
        for _ in range(int(seconds)):
            for each in self.replicas:
                each.clock.move(1.0)
            for each in self.replicas:
                if each not in without:
                    await each.turn()

    @property
    def lease(self):
        stored = self.api.stored(LEASE)
        return None if stored is None else Lease.from_raw(stored)

    def edit(self, **spec):
        stored = self.api.stored(LEASE)
        self.api.put(LEASE, stored | {"spec": stored["spec"] | spec})


async def elected(world, *names):
    """Have the first of some replicas lead."""
    first = world.replica(names[0])
    await world.pass_time(14)
    assert first.leads
    others = [world.replica(name) for name in names[1:]]
    await world.pass_time(1)
    return [first, *others]


class LostAnswer:
    """An API server whose answers to writes get lost."""

    def __init__(self, api):
        self.api = api

    async def get(self, path):
        return await self.api.get(path)

    async def create(self, path, body):
        await self.api.create(path, body)
        raise errors.UnreachableError("the connection broke")

    async def replace(self, path, body):
        await self.api.replace(path, body)
        raise errors.UnreachableError("the connection broke")


class SlowAnswer(LostAnswer):
    """One that takes its time."""

    def __init__(self, api, clock, seconds):
        super().__init__(api)
        self.clock, self.seconds = clock, seconds

    async def replace(self, path, body):
        answer = await self.api.replace(path, body)
        self.clock.move(self.seconds)
        return answer


class Interrupted(LostAnswer):
    """One before whose first write something else happens."""

    def __init__(self, api, first):
        super().__init__(api)
        self.first = first

    async def replace(self, path, body):
        await self.first()
        return await self.api.replace(path, body)
