"""The Secret of our certificates, and files of somebody else's: who makes, reads and renews them.

Real: the certificates, the API in memory, a held clock, files.
"""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest

from factotum.controller.clock import HeldClock
from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, UnusableError
from factotum.controller.tls.identity import Identity
from factotum.controller.tls.keeping import Files, Kept
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.http.certificates import loopback

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATH = paths.item(paths.SECRETS, "ours-tls", "ours")
DAY = 86_400.0


class Replica:
    """One operator's part in it."""

    def __init__(self, api, clock, host="operator.example"):
        self.identity = Identity()
        self.source = Kept(api, clock, namespace="ours", name="ours-tls", hosts=(host,))

    async def look(self):
        await self.source.look(self.identity)
        return self.identity.trusted


@pytest.fixture
def api():
    return MemoryApi()


@pytest.fixture
def clock():
    return HeldClock(NOW)


def methods(api):
    return [request.method for request in api.requests]


def field(api, name):
    return base64.b64decode(api.stored(PATH)["data"][name]).decode()


async def test_the_first_makes_them_and_the_second_reads_them(api, clock):
    first, second = Replica(api, clock), Replica(api, clock)

    assert await first.look() == await second.look() == field(api, "ca.crt")
    assert methods(api) == ["GET", "POST", "GET"]


async def test_of_two_that_begin_at_once_one_gives_way(api, clock):
    first, second = Replica(api, clock), Replica(api, clock)
    raced = []

    def race(request):
        if request.method == "POST" and not raced:
            raced.append(request)
            made = authority.make(("operator.example",), NOW, Lifetimes())
            api.put(PATH, secret(made))

    api.on_request = race
    assert await first.look() == await second.look() == field(api, "ca.crt")


def secret(material):
    fields = {
        "ca.crt": material.trusted,
        "ca.key": material.authority_key,
        "tls.crt": material.chain,
        "tls.key": material.key,
    }
    data = {name: base64.b64encode(text.encode()).decode() for name, text in fields.items()}
    return {"metadata": {"name": "ours-tls", "namespace": "ours"}, "data": data}


async def test_a_look_costs_one_request_while_nothing_is_due(api, clock):
    replica = Replica(api, clock)
    await replica.look()
    api.requests.clear()
    clock.move(30 * DAY)
    await replica.look()

    assert methods(api) == ["GET"]


async def test_whoever_comes_first_renews_and_the_other_takes_it(api, clock):
    first, second = Replica(api, clock), Replica(api, clock)
    await first.look()
    await second.look()
    before = field(api, "tls.crt")
    clock.move(70 * DAY)
    await second.look()
    await first.look()

    assert field(api, "tls.crt") != before
    assert first.identity._shown == second.identity._shown
    assert methods(api).count("PUT") == 1


async def test_a_renewal_that_lost_the_race_takes_the_winners(api, clock):
    first = Replica(api, clock)
    await first.look()
    clock.move(70 * DAY)
    raced = []

    def race(request):
        if request.method == "PUT" and not raced:
            raced.append(request)
            made = authority.make(("operator.example",), clock.now(), Lifetimes())
            api.put(PATH, secret(made))

    api.on_request = race
    assert await first.look() == field(api, "ca.crt")
    assert first.identity._shown[0] == field(api, "tls.crt")


async def test_a_secret_that_was_deleted_comes_back_as_it_was(api, clock):
    replica = Replica(api, clock)
    known = await replica.look()
    api.remove(PATH)
    await replica.look()

    assert field(api, "ca.crt") == known


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
@pytest.mark.parametrize("value", [None, "%%%", base64.b64encode(b"spoiled").decode()])
async def test_a_secret_that_was_spoiled_is_written_as_it_was(api, clock, name, value):
    replica = Replica(api, clock)
    known = await replica.look()
    raw = api.stored(PATH)
    if value is None:
        del raw["data"][name]
    else:
        raw["data"][name] = value
    raw["data"]["theirs"] = "AAAA"
    api.put(PATH, raw)
    await replica.look()

    assert field(api, "ca.crt") == known == replica.identity.trusted
    assert api.stored(PATH)["data"]["theirs"] == "AAAA"


async def test_two_versions_with_other_names_do_not_take_turns(api, clock):
    old, new = Replica(api, clock), Replica(api, clock, host="renamed.example")
    for _ in range(3):
        await old.look()
        await new.look()

    assert methods(api).count("PUT") == 1


async def test_without_an_answer_what_was_known_stays(api, clock):
    replica = Replica(api, clock)
    known = await replica.look()

    def fail(_):
        raise errors.UnreachableError("away")

    api.on_request = fail
    with pytest.raises(errors.UnreachableError):
        await replica.look()
    assert replica.identity.trusted == known


async def test_a_secret_that_changes_all_the_time_is_not_fought_over_for_ever(api, clock):
    replica = Replica(api, clock)

    def fight(request):
        if request.method == "POST":
            raise errors.AlreadyExistsError("there is one")

    api.on_request = fight
    async with asyncio.timeout(10):
        with pytest.raises(errors.UnreachableError, match="changes all the time"):
            await replica.look()
    assert len(api.requests) < 20


# --- files ------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    material = loopback()
    texts = {"ca": material.trusted, "crt": material.chain, "key": material.key}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return Files(
        trusted=str(tmp_path / "ca"), chain=str(tmp_path / "crt"), key=str(tmp_path / "key")
    )


async def test_files_are_taken_again_when_they_change(files, tmp_path):
    identity = Identity()
    await files.look(identity)
    other = authority.make(("operator.example",), NOW + timedelta(days=1), Lifetimes())
    for name, text in (("ca", other.trusted), ("crt", other.chain), ("key", other.key)):
        (tmp_path / name).write_text(text)
    await files.look(identity)

    assert identity.trusted == other.trusted
    assert identity._shown == (other.chain, other.key)


@pytest.mark.parametrize("name", ["ca", "crt", "key"])
@pytest.mark.parametrize("text", [None, "", "nonsense"])
async def test_files_that_cannot_be_used_change_nothing(files, tmp_path, name, text):
    identity = Identity()
    await files.look(identity)
    known = identity.trusted, identity._shown
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)

    with pytest.raises(UnusableError):
        await files.look(identity)
    assert (identity.trusted, identity._shown) == known


async def test_a_key_that_came_before_its_certificate_waits_for_it(files, tmp_path):
    identity = Identity()
    await files.look(identity)
    known = identity._shown
    other = authority.make(("operator.example",), NOW, Lifetimes())
    (tmp_path / "key").write_text(other.key)

    with pytest.raises(UnusableError):
        await files.look(identity)
    assert identity._shown == known


def test_who_wants_to_know_is_told_of_other_authorities_and_of_nothing_else():
    told = []
    identity = Identity()
    identity.on_new_trust(lambda: told.append(identity.trusted))
    first, other = loopback(), authority.make(("o.example",), datetime.now(UTC), Lifetimes())
    same = authority.renew(first, ("more.example",), datetime.now(UTC), Lifetimes())
    for each in (first, first, same, other):
        identity.take(trusted=each.trusted, chain=each.chain, key=each.key)

    assert told == [first.trusted, other.trusted]
