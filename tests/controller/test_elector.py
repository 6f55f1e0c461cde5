"""Replicas that elect, renew, lose and wake up, and how one follows another."""

import asyncio

import pytest

from support.model.replicas import Interrupted, World, elected


@pytest.fixture
def world():
    return World()


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


async def test_a_renewal_of_its_own_that_comes_between_does_not_keep_the_lease(world):
    leader, other = await elected(world, "a", "b")

    async def renewal():
        leader.elector._api = world.api
        world.edit(renewTime="2026-03-01T12:00:59.000000Z")

    leader.elector._api = Interrupted(world.api, renewal)
    await leader.elector.release()
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
