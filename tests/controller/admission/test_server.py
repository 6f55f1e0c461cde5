"""The webhook's port: hostile bodies, crowds, and an API server that asks as they do.

Real: HTTPS on loopback, the judging behind it.
"""

import asyncio
import contextlib
import io
import json
import logging
import socket
import time

import aiohttp
import pytest

from factotum.controller.admission.server import PATH, AdmissionServer
from factotum.controller.pod_template.judging import Bounds
from support.builders.manifests import make_factfile, make_job, make_task
from support.http.certificates import asking, serving

BAD = make_job("default", make_factfile(make_task("a", "nobody")))


def review(raw, **request):
    request = {"uid": "u-1", "kind": {"kind": "FactotumJob"}, "object": raw} | request
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@pytest.fixture
async def ask():
    """Return a way to ask a server: the answer's status and body."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = AdmissionServer(
        host="127.0.0.1", port=port, tls=serving(), bounds=Bounds("factotum-operator")
    )
    await server.start()
    connector = aiohttp.TCPConnector(ssl=asking(), limit=0)
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector) as session:

        async def post(body, path=PATH):
            data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
            async with session.post(path, data=data) as response:
                text = await response.text()
                with contextlib.suppress(ValueError):
                    return response.status, json.loads(text)
                return response.status, text

        post.port, post.session, post.server = port, session, server
        yield post
    await server.stop()


async def test_a_bad_job_is_refused_and_a_good_one_is_not(ask):
    status, answer = await ask(review(BAD))

    assert (status, answer["response"]["allowed"]) == (200, False)
    assert answer["response"]["uid"] == "u-1"
    assert "spec.factfile.data.tasks[0].dependsOn[0]" in answer["response"]["status"]["message"]
    status, answer = await ask(review(make_job("default")))
    assert (status, answer["response"]) == (200, {"uid": "u-1", "allowed": True})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"null",
        b'"AdmissionReview"',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":{}}}',
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_what_is_no_review_is_told_to_be_none(ask, body):
    assert (await ask(body))[0] == 400
    assert (await ask(review(BAD)))[0] == 200


ODD = {
    "no spec": {"metadata": {}},
    "a spec that is a list": {"metadata": {}, "spec": []},
    "a factfile that is a text": {"metadata": {}, "spec": {"factfile": "x"}},
    "tasks that are none": {"metadata": {}, "spec": {"factfile": {"data": {"tasks": 5}}}},
    "variables that are none": BAD | {"spec": BAD["spec"] | {"env": [1]}},
    "variables of numbers": BAD | {"spec": BAD["spec"] | {"env": {"a": 1}, "tags": 5}},
    "a start that is a list": BAD | {"spec": BAD["spec"] | {"start": []}},
    "metadata that is none": BAD | {"metadata": 7},
    "a label that is a number": BAD | {"metadata": {"labels": 9}},
}


@pytest.mark.parametrize("case", ODD)
async def test_a_job_of_any_shape_gets_an_answer(ask, case, caplog):
    with caplog.at_level(logging.WARNING):
        status, answer = await ask(review(ODD[case]))

    assert status == 200
    assert answer["response"]["uid"] == "u-1"
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_body_that_is_too_large_is_not_read(ask):
    assert (await ask(b" " * (4 * 1024 * 1024 + 1)))[0] == 413
    assert (await ask(review(BAD)))[0] == 200


async def test_whoever_hung_up_in_a_body_that_is_not_read_does_not_hold_up_the_end(ask):
    assert (await ask(b" " * (4 * 1024 * 1024 + 1)))[0] == 413
    await ask.session.close()
    began = time.monotonic()
    await ask.server.stop()

    assert time.monotonic() - began < 5


async def test_large_bodies_that_never_end_leave_room_for_what_is_usual(ask):
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {4 * 1024 * 1024}\r\n\r\n"
    ).encode()
    slow = [await asyncio.open_connection("127.0.0.1", ask.port, ssl=asking()) for _ in range(30)]
    for _, writer in slow:
        writer.write(head + b" " * 1000)
    async with asyncio.timeout(10):
        assert (await ask(review(BAD)))[0] == 200
        assert (await ask(json.dumps(review(BAD)).encode() + b" " * 300_000))[0] == 503
    for _, writer in slow:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    async with asyncio.timeout(10):
        large = json.dumps(review(BAD)).encode() + b" " * 300_000
        while (await ask(large))[0] != 200:  # noqa: ASYNC110 - the server's doing is waited for
            await asyncio.sleep(0.05)


async def test_a_body_of_unknown_length_is_not_read(ask):
    async def pieces():
        yield b"{"

    async with ask.session.post(PATH, data=pieces()) as response:
        assert response.status == 411


async def test_other_places_and_ways_are_not_served(ask):
    assert (await ask(review(BAD), path="/v1/claims/a/1/1"))[0] == 404
    assert (await ask(review(BAD), path="/"))[0] == 404


async def test_large_factfiles_do_not_hold_up_the_loop(ask):
    tasks = [make_task(f"t{n}", arguments=["{{a}}" * 20]) for n in range(2000)]
    large = review(make_job("default", make_factfile(*tasks), env={"a": "x"}))
    asking_them = asyncio.gather(*[ask(large) for _ in range(4)])
    turns = 0
    while not asking_them.done():
        await asyncio.sleep(0.005)
        turns += 1

    assert {status for status, _ in await asking_them} <= {200, 503}
    # Judged on the loop itself, each would take it for half a second and more, and it none.
    assert turns > 40


async def test_a_crowd_is_told_that_there_is_no_place_and_then_there_is_one(ask):
    tasks = [make_task(f"t{n}", arguments=["{{a}}" * 40]) for n in range(1500)]
    large = json.dumps(review(make_job("default", make_factfile(*tasks)))).encode()
    began = time.monotonic()
    answers = await asyncio.gather(*[ask(large) for _ in range(120)])
    seconds = time.monotonic() - began

    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert statuses.count(503) > 20
    # They are judged in turns, and nobody waits for longer than two seconds for his turn.
    assert seconds < 60
    assert (await ask(review(BAD)))[0] == 200
