"""Replicas that elect, renew, lose and steal: the real electors and fences on an API in memory.

Time is held, and each replica's clock is its own.
"""

import asyncio
from datetime import timedelta

import pytest

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


@pytest.fixture
def world():
    return World()


async def elected(world, *names):
    """Have the first of some replicas lead."""
    first = world.replica(names[0])
    await world.pass_time(14)
    assert first.leads
    others = [world.replica(name) for name in names[1:]]
    await world.pass_time(1)
    return [first, *others]


async def test_a_lease_that_never_was_is_taken_after_a_terms_wait(world):
    first = world.replica("a")

    await world.pass_time(12)
    assert not first.leads
    assert not await first.writes()
    await world.pass_time(2)
    assert first.leads
    assert await first.writes()
    assert world.lease.holder == "a_1"
    assert world.lease.address == "a:1"


async def test_one_of_many_leads_and_goes_on_to(world):
    replicas = [world.replica(name) for name in "abcd"]

    for _ in range(60):
        await world.pass_time(1)
        assert sum(each.leads for each in replicas) <= 1
        assert not any(each.lost for each in replicas)
    assert [each.leads for each in replicas].count(True) == 1
    assert world.lease.transitions == 1


async def test_who_has_not_read_the_world_does_not_lead(world):
    first = world.replica("a", fit=False)

    await world.pass_time(20)
    assert not first.leads
    assert world.lease.holder == ""
    first.fit = True
    await world.pass_time(1)
    assert first.leads


async def test_a_leader_that_dies_is_followed_after_its_term(world):
    dead, other = await elected(world, "a", "b")

    await world.pass_time(11, without=[dead])
    assert not other.leads
    await world.pass_time(3, without=[dead])
    assert other.leads
    assert world.lease.holder == "b_1"
    assert world.lease.transitions == 2


async def test_a_leader_that_wakes_up_after_its_term_writes_nothing_and_ends(world):
    frozen, other = await elected(world, "a", "b")

    await world.pass_time(14, without=[frozen])
    assert other.leads
    assert not await frozen.writes()
    assert frozen.lost == ["the Lease was not renewed in time"]
    assert await other.writes()
    assert not await frozen.writes()
    assert len(frozen.lost) == 1


async def test_a_leader_writes_nothing_more_before_anybody_else_may(world):
    frozen, other = await elected(world, "a", "b")

    last = None
    for second in range(1, 16):
        await world.pass_time(1, without=[frozen])
        if await frozen.writes():
            last = second
            assert not other.leads
    assert last is not None
    assert last <= 10


async def test_a_leader_that_wakes_up_within_its_term_goes_on(world):
    frozen, other = await elected(world, "a", "b")

    await world.pass_time(8, without=[frozen])
    await world.pass_time(20)
    assert frozen.leads
    assert not other.leads
    assert frozen.lost == []


@pytest.mark.parametrize("skew", [-86_400.0, -7.0, 7.0, 86_400.0, 1e9])
async def test_clocks_that_differ_change_nothing(world, skew):
    leader = world.replica("a", skew=skew)
    await world.pass_time(14)
    other = world.replica("b", skew=-skew)
    third = world.replica("c")

    await world.pass_time(30)
    assert leader.leads
    assert not other.leads
    assert not third.leads
    await world.pass_time(11, without=[leader])
    assert not other.leads
    assert not third.leads
    await world.pass_time(3, without=[leader])
    assert other.leads is not third.leads


async def test_a_leader_that_is_told_to_end_is_followed_at_once(world):
    leader, other = await elected(world, "a", "b")

    await leader.elector.release()
    assert not await leader.writes()
    assert leader.lost == []
    await world.pass_time(1, without=[leader])
    assert other.leads


async def test_a_process_follows_its_own_predecessor_at_once(world):
    dead, other = await elected(world, "a", "b")
    again = world.replica("a", process="2")

    await world.pass_time(1, without=[dead])
    assert again.leads
    assert world.lease.holder == "a_2"
    await world.pass_time(20, without=[dead])
    assert again.leads
    assert not other.leads


async def test_a_lease_deleted_by_hand_is_made_again_by_its_leader(world):
    leader, other = await elected(world, "a", "b")
    fresh = world.replica("c")

    world.api.remove(LEASE)
    # Those who stand by see that there is none before the leader does.
    await other.turn()
    await fresh.turn()
    assert not other.leads
    assert not fresh.leads
    await world.pass_time(20)
    assert leader.leads
    assert world.lease.holder == "a_1"
    assert not other.leads
    assert not fresh.leads


async def test_a_lease_deleted_when_its_leader_is_dead_is_taken_after_a_terms_wait(world):
    dead, other = await elected(world, "a", "b")

    await world.pass_time(5, without=[dead])
    world.api.remove(LEASE)
    await world.pass_time(12, without=[dead])
    assert not other.leads
    await world.pass_time(2, without=[dead])
    assert other.leads


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param({"holderIdentity": "nobody-we-know"}, id="another holder"),
        pytest.param({"holderIdentity": "b_1"}, id="the other replica, which has not asked"),
    ],
)
async def test_a_leader_that_is_put_out_by_hand_ends_and_another_follows(world, edited):
    leader, other = await elected(world, "a", "b")

    world.edit(**edited)
    await leader.turn()
    assert len(leader.lost) == 1
    assert not await leader.writes()
    await world.pass_time(15, without=[leader])
    assert other.leads


async def test_a_lease_emptied_by_hand_is_its_leaders_still(world):
    leader, other = await elected(world, "a", "b")
    fresh = world.replica("c")

    world.edit(holderIdentity="")
    await other.turn()
    await fresh.turn()
    await world.pass_time(20)
    assert leader.leads
    assert leader.lost == []
    assert world.lease.holder == "a_1"
    assert not other.leads
    assert not fresh.leads


async def test_a_lease_deleted_while_one_could_not_look_is_not_the_one_before(world):
    late = world.replica("b")
    await late.turn()
    world.api.remove(LEASE)
    leader = world.replica("a")
    await world.pass_time(14, without=[late])
    assert leader.leads
    world.api.remove(LEASE)

    # What it sees is as it was thirteen seconds ago, but not the same.
    await late.turn()
    assert not late.leads
    await world.pass_time(11, without=[leader])
    assert not late.leads


async def test_what_people_write_beside_stays_and_disturbs_nothing(world):
    leader, other = await elected(world, "a", "b")

    stored = world.api.stored(LEASE)
    stored["metadata"]["labels"] = {"seen-by": "somebody"}
    stored["metadata"]["annotations"]["note"] = "hands off"
    world.api.put(LEASE, stored)
    await world.pass_time(20)
    assert leader.leads
    assert not other.leads
    metadata = world.api.stored(LEASE)["metadata"]
    assert metadata["labels"] == {"seen-by": "somebody"}
    assert metadata["annotations"]["note"] == "hands off"


async def test_notes_on_a_dead_leaders_lease_do_not_keep_it_alive(world):
    dead, other = await elected(world, "a", "b")

    for number in range(14):
        stored = world.api.stored(LEASE)
        stored["metadata"]["labels"] = {"poked": str(number)}
        world.api.put(LEASE, stored)
        await world.pass_time(1, without=[dead])
    assert other.leads


async def test_an_outage_within_a_term_changes_nothing(world):
    leader, other = await elected(world, "a", "b")

    world.api.on_request = away
    await world.pass_time(7)
    world.api.on_request = lambda _: None
    await world.pass_time(10)
    assert leader.leads
    assert not other.leads
    assert leader.lost == []


async def test_an_outage_longer_than_a_term_ends_the_leader_and_the_other_follows(world):
    leader, other = await elected(world, "a", "b")

    world.api.on_request = away
    await world.pass_time(30)
    assert len(leader.lost) == 1
    assert not other.leads
    assert other.lost == []
    world.api.on_request = lambda _: None
    await world.pass_time(1, without=[leader])
    assert other.leads


async def test_a_renewal_whose_answer_is_lost_is_known_for_our_own(world):
    leader, _ = await elected(world, "a", "b")
    lost = LostAnswer(world.api)

    leader.clock.move(2.0)
    leader.elector._api = lost
    await leader.turn()
    leader.elector._api = world.api
    for _ in range(3):
        await leader.turn()
    assert leader.lost == []
    assert leader.term.left == 10


async def test_taking_whose_answer_is_lost_counts_from_the_next_that_is_not(world):
    first = world.replica("a")
    lost = LostAnswer(world.api)
    await first.turn()
    first.clock.move(12.0)
    first.elector._api = lost
    await first.turn()
    assert world.lease.holder == "a_1"
    assert not first.leads
    first.elector._api = world.api
    await first.turn()
    assert first.leads


async def test_a_term_counts_from_when_its_renewal_was_asked_for(world):
    leader, _ = await elected(world, "a", "b")

    slow = SlowAnswer(world.api, leader.clock, seconds=3.0)
    leader.elector._api = slow
    await leader.turn()
    assert leader.term.left == 7


async def test_two_that_take_at_the_same_moment_are_settled_by_the_version(world):
    dead, one = await elected(world, "a", "b")
    two = world.replica("c")
    await world.pass_time(13, without=[dead, one, two])
    await one.elector.look()
    one.clock.move(13)
    two.clock.move(13)
    await two.elector.look()
    two.clock.move(13)
    one.elector._api = Interrupted(world.api, two.turn)
    await one.turn()

    assert two.leads
    assert not one.leads
    assert one.lost == []


async def test_the_leader_is_known_while_it_renews_and_not_longer(world):
    leader, other = await elected(world, "a", "b")

    known = other.elector.leader()
    assert (known.holder, known.address) == ("a_1", "a:1")
    assert leader.elector.leader() is None
    await world.pass_time(11, without=[leader])
    assert other.elector.leader() is not None
    for each in world.replicas:
        each.clock.move(1.5)
    # Its address may be somebody else's by now.
    assert other.elector.leader() is None


async def test_a_missing_namespace_is_no_hot_loop_and_no_end(world):
    world.api.on_request = no_namespace
    first = world.replica("a")

    await first.turn()
    first.clock.move(13)
    assert await first.turn() > 0.1
    assert not first.leads


def away(_):
    raise errors.UnreachableError("refused")


def no_namespace(request):
    if request.method in ("GET", "POST"):
        raise errors.from_status(404, "NotFound", "namespaces 'system' not found")


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


async def test_a_vacancy_is_told_before_the_lease_may_be_taken_and_settled_by_taking_it(world):
    dead, other = await elected(world, "a", "b")

    await world.pass_time(9, without=[dead])
    assert not other.elector.vacant.is_set()
    await world.pass_time(2, without=[dead])
    assert other.elector.vacant.is_set()
    assert not other.leads
    vacancy = other.elector.sighting
    running = asyncio.create_task(other.elector.run())
    other.clock.move(3)
    assert await other.elector.settled(vacancy)
    assert other.leads
    running.cancel()


async def test_a_vacancy_that_was_none_is_settled_by_the_renewal(world):
    slow, other = await elected(world, "a", "b")

    await world.pass_time(10, without=[slow])
    assert other.elector.vacant.is_set()
    vacancy = other.elector.sighting
    # Somebody of the same name is up again.
    again = world.replica("a", process="2")
    await again.turn()
    running = asyncio.create_task(other.elector.run())
    assert not await other.elector.settled(vacancy)
    assert not other.elector.vacant.is_set()
    assert not other.leads
    running.cancel()
