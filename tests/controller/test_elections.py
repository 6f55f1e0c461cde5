"""Random histories of replicas: no two ever get a write past their fences at one time.

Real: electors and fences on an API in memory. Each replica's clock is its own and runs when its
process is stopped, too; what differs is only how often it gets to take a turn.
"""

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.controller.clock import HeldClock
from factotum.controller.leader.elector import Elector
from factotum.controller.leader.lease import Me
from factotum.controller.leader.rules import RENEW_SECONDS, TAKE_AFTER_SECONDS
from factotum.controller.leader.term import Term
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import NOW

LEASE = paths.item(paths.LEASES, "operator", "system")
NAMES = ("a", "b", "c")

STEP = st.one_of(
    st.tuples(st.just("turns"), st.integers(1, 14)),
    st.tuples(st.just("freeze"), st.sampled_from(NAMES)),
    st.tuples(st.just("thaw"), st.sampled_from(NAMES)),
    st.tuples(st.just("restart"), st.sampled_from(NAMES)),
    st.tuples(st.just("cut off"), st.sampled_from(NAMES)),
    st.tuples(st.just("join"), st.sampled_from(NAMES)),
    st.tuples(st.just("release"), st.sampled_from(NAMES)),
    st.tuples(st.just("delete"), st.none()),
    st.tuples(st.just("empty"), st.none()),
    st.tuples(st.just("put out"), st.none()),
    st.tuples(st.just("lose answers"), st.booleans()),
)


class Line:
    """A replica's line to the API server, which can be cut, or lose answers."""

    def __init__(self, api):
        self.api = api
        self.is_cut = self.loses = False

    async def _ask(self, answer):
        if self.is_cut:
            answer.close()
            raise errors.UnreachableError("no route")
        got = await answer
        if self.loses:
            raise errors.UnreachableError("the answer was lost")
        return got

    async def get(self, path):
        return await self._ask(self.api.get(path))

    async def create(self, path, body):
        return await self._ask(self.api.create(path, body))

    async def replace(self, path, body):
        return await self._ask(self.api.replace(path, body))


class Replica:
    """A name under which one process lives at a time."""

    def __init__(self, api, name, skew):
        self.name, self.api = name, api
        self.clock = HeldClock(NOW + timedelta(seconds=skew))
        self.processes = 0
        self.restart()

    def restart(self):
        self.processes += 1
        self.line = Line(self.api)
        self.is_frozen = self.is_over = False
        self.term = Term(self.clock.boottime, self._end)
        self.elector = Elector(
            self.line,
            Me(identity=self.name, process=str(self.processes), address="x:1"),
            namespace="system",
            name="operator",
            term=self.term,
            clock=self.clock,
        )

    def _end(self, _):
        self.is_over = True

    async def turn(self):
        if self.is_over:
            self.restart()  # its kubelet does so
        if not self.is_frozen:
            await self.elector.turn()

    @property
    def passes(self):
        """Whether a write of it would pass, now or when it wakes up at this moment."""
        return self.term.left > 0


class World:
    """Three replicas, one API server, and whatever may happen to them."""

    def __init__(self, skews):
        self.api = MemoryApi()
        self.replicas = {
            name: Replica(self.api, name, skew) for name, skew in zip(NAMES, skews, strict=True)
        }

    def check(self):
        passing = [each.name for each in self.replicas.values() if each.passes]
        assert len(passing) <= 1, f"{passing} may write at one time"

    async def pass_time(self, seconds):
        for _ in range(int(seconds / 0.5)):
            for each in self.replicas.values():
                each.clock.move(0.5)
            for each in self.replicas.values():
                await each.turn()
                self.check()

    async def happen(self, what, of):
        if what == "turns":
            await self.pass_time(of)
        elif what == "lose answers":
            for each in self.replicas.values():
                each.line.loses = of
        elif of is None:
            self.edit(what)
        else:
            await self.befall(self.replicas[of], what)
        self.check()

    async def befall(self, replica, what):
        if what in ("freeze", "thaw"):
            replica.is_frozen = what == "freeze"
        elif what in ("cut off", "join"):
            replica.line.is_cut = what == "cut off"
        elif what == "restart":
            replica.restart()
        elif not replica.is_frozen:
            await replica.elector.release()
            replica.restart()

    def edit(self, what):
        """Be an administrator."""
        stored = self.api.stored(LEASE)
        if stored is None:
            return
        if what == "delete":
            self.api.remove(LEASE)
            return
        holder = "" if what == "empty" else "nobody"
        self.api.put(LEASE, stored | {"spec": stored["spec"] | {"holderIdentity": holder}})

    async def recover(self):
        for each in self.replicas.values():
            each.is_frozen = each.line.is_cut = each.line.loses = False
        await self.pass_time(2 * (TAKE_AFTER_SECONDS + RENEW_SECONDS) + 2)
        assert sum(each.elector.leads for each in self.replicas.values()) == 1


async def play(steps, skews):
    world = World(skews)
    for what, of in steps:
        await world.happen(what, of)
    await world.recover()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(STEP, max_size=30),
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
)
def test_no_two_replicas_ever_write_at_one_time(steps, skews):
    asyncio.run(play(steps, skews))
