"""What people, outages and lost answers do to an election."""

import pytest

from factotum.kube import errors
from support.model.replicas import LEASE, Interrupted, LostAnswer, SlowAnswer, World, elected


@pytest.fixture
def world():
    return World()


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
