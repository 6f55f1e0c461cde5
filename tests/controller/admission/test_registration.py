"""How the API server learns whom to trust. Real: certificates, the API in memory."""

import asyncio
import base64
import contextlib
from datetime import UTC, datetime

import pytest

from factotum.controller.admission.registration import Registration
from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.http.certificates import identity_of, loopback

PATH = paths.item(paths.VALIDATING_WEBHOOKS, "ours")
CONFIGURATION = {
    "metadata": {"name": "ours", "labels": {"a": "b"}},
    "webhooks": [
        {"name": "one", "clientConfig": {"url": "https://x"}, "failurePolicy": "Ignore"},
        {"name": "two", "clientConfig": {"service": {"name": "s"}, "caBundle": "b2xk"}},
    ],
}


@pytest.fixture
def api():
    made = MemoryApi()
    made.put(PATH, CONFIGURATION)
    return made


@pytest.fixture
def identity():
    return identity_of(loopback())


def bundles(api):
    webhooks = api.stored(PATH)["webhooks"]
    return [base64.b64decode(each["clientConfig"]["caBundle"]).decode() for each in webhooks]


def methods(api):
    return [request.method for request in api.requests]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def kept(api, identity):
    running = asyncio.create_task(Registration(api, identity, "ours").run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_every_webhook_is_told_and_nothing_else_is_changed(api, identity):
    await Registration(api, identity, "ours").keep()

    assert bundles(api) == [loopback().trusted] * 2
    stored = api.stored(PATH)
    for each in stored["webhooks"]:
        del each["clientConfig"]["caBundle"]
    expected = [dict(each) for each in CONFIGURATION["webhooks"]]
    expected[1] = expected[1] | {"clientConfig": {"service": {"name": "s"}}}
    assert stored["webhooks"] == expected
    assert stored["metadata"]["labels"] == {"a": "b"}


async def test_what_is_right_is_not_written_again(api, identity):
    registration = Registration(api, identity, "ours")
    for _ in range(3):
        await registration.keep()

    assert methods(api) == ["GET", "PUT", "GET", "GET"]


async def test_other_authorities_are_told_at_once(api, identity):
    async with kept(api, identity):
        await until(lambda: "PUT" in methods(api))
        other = authority.make(("o.example",), datetime.now(UTC), Lifetimes())
        identity.take(trusted=other.trusted, chain=other.chain, key=other.key)
        await until(lambda: bundles(api) == [other.trusted] * 2)


async def test_somebody_who_was_faster_is_not_overwritten_unseen(api, identity):
    raced = []

    def race(request):
        if request.method == "PUT" and not raced:
            raced.append(request)
            changed = api.stored(PATH) | {"more": 1}
            api.put(PATH, changed)

    api.on_request = race
    async with kept(api, identity):
        await until(lambda: methods(api).count("PUT") == 2)
        assert api.stored(PATH)["more"] == 1
        assert bundles(api) == [loopback().trusted] * 2


@pytest.mark.parametrize(
    "trouble",
    [
        errors.NotFoundError("gone", status=404),
        errors.ForbiddenError("no", status=403),
        errors.UnreachableError("away"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_trouble_is_told_once_and_ends_nothing(api, identity, trouble, caplog):
    def fail(_):
        raise trouble

    api.on_request = fail
    registration = Registration(api, identity, "ours")
    for _ in range(3):
        await registration._look()
    told = [r for r in caplog.records if "are not looked at when they are made" in r.message]
    assert len(told) == 1
    api.on_request = lambda _: None
    await registration._look()
    assert bundles(api) == [loopback().trusted] * 2
