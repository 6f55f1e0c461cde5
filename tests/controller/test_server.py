"""The form of claims and reports: a real HTTPS server, with a desk and a reviewer that only record.

What the desk decides is in ``test_claims`` and ``test_invariants``.
"""

import json
import socket

import aiohttp
import pytest

from factotum.controller.claims.judging import Denied, Granted, Later
from factotum.controller.claims.server import ClaimsServer
from factotum.controller.claims.tokens import PodIdentity
from factotum.core.wire.reports import MAX_BYTES
from factotum.kube import errors
from support.builders.jobs import CLAIM_ID, make_report
from support.http.certificates import asking, serving

US = PodIdentity(namespace="pipelines", pod_name="p", pod_uid="u")
TOKEN = {"Authorization": "Bearer good"}


class Reviewer:
    def __init__(self):
        self.trouble = None

    async def identify(self, token):
        if self.trouble is not None:
            raise self.trouble
        return US if token == "good" else None


class RecordingDesk:
    def __init__(self):
        self.asked = []
        self.answer = Granted(body={"factfile": "{}"})

    async def claim(self, request, identity):
        self.asked.append((request, identity))
        return self._answer()

    async def report(self, uid, attempt, report, identity):
        self.asked.append((uid, attempt, report, identity))
        return self._answer()

    def _answer(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def served():
    """Return a desk, its reviewer and a way to post to them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reviewer, desk = Reviewer(), RecordingDesk()
    server = ClaimsServer(reviewer, host="127.0.0.1", port=port, tls=serving())
    await server.start()
    connector = aiohttp.TCPConnector(ssl=asking())
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector) as session:

        async def post(path, body=b"", headers=TOKEN):
            async with session.post(path, data=body, headers=headers) as response:
                return response.status, json.loads(await response.text() or "{}")

        async def get(path):
            async with session.get(path) as response:
                return response.status

        yield desk, reviewer, server, post, get
    await server.stop()


CLAIM = "/v1/claims/job/2/3", json.dumps({"claim": CLAIM_ID})
REPORT = "/v1/reports/job/2", make_report().to_json()
BOTH = pytest.mark.parametrize("call", [CLAIM, REPORT], ids=["claim", "report"])


async def test_a_body_that_is_nested_too_deeply_is_no_claim(served):
    desk, _, server, post, _ = served
    server.open(desk)

    assert (await post("/v1/claims/job/2/3", "[" * 100_000))[0] == 400
    assert (await post("/v1/reports/job/2", "[" * 100_000))[0] == 400
    assert desk.asked == []


async def test_a_claim_reaches_the_desk_and_its_answer_the_runner(served):
    desk, _, server, post, _ = served
    server.open(desk)

    answer = await post(*CLAIM)

    assert answer == (200, {"factfile": "{}"})
    ((request, identity),) = desk.asked
    assert (request.uid, request.attempt, request.launch) == ("job", 2, 3)
    assert request.claim_id == CLAIM_ID
    assert identity == US


async def test_a_report_reaches_the_desk(served):
    desk, _, server, post, _ = served
    server.open(desk)
    desk.answer = Granted(body={"order": "stop"})

    answer = await post(*REPORT)

    assert answer == (200, {"order": "stop"})
    assert desk.asked == [("job", 2, make_report(), US)]


@BOTH
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(Denied(status=409, message="no"), 409, id="taken"),
        pytest.param(Denied(status=410, message="no"), 410, id="over"),
        pytest.param(Later(message="no"), 503, id="not known"),
        pytest.param(errors.UnreachableError("no"), 503, id="API server away"),
        pytest.param(errors.ForbiddenError("no", status=403), 503, id="API server says no"),
    ],
)
async def test_every_answer_has_its_status_and_its_words(served, call, answer, status):
    desk, _, server, post, _ = served
    server.open(desk)
    desk.answer = answer

    assert await post(*call) == (status, {"error": "no"})


@BOTH
async def test_until_everything_was_read_the_answer_is_later(served, call):
    desk, _, server, post, get = served

    assert (await post(*call))[0] == 503
    assert await get("/readyz") == 503
    server.open(desk)
    assert (await post(*call))[0] == 200
    assert await get("/readyz") == 200


@BOTH
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic good"}, {"Authorization": "Bearer bad"}, {"Authorization": ""}],
    ids=["no token", "another scheme", "a foreign token", "nothing"],
)
async def test_nobody_without_a_pods_token_is_heard(served, call, headers):
    desk, _, server, post, _ = served
    server.open(desk)

    assert (await post(*call, headers=headers))[0] == 401
    assert desk.asked == []


@BOTH
async def test_a_token_that_cannot_be_checked_now_is_no_refusal(served, call):
    desk, reviewer, server, post, _ = served
    server.open(desk)
    reviewer.trouble = errors.UnreachableError("POST https://10.0.0.1:6443/apis/...: away")

    # Where the API server is, is told to nobody who has shown nothing yet.
    assert await post(*call) == (503, {"error": "the token cannot be checked now"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"claim": 5}',
        b'{"claim": "short"}',
        json.dumps({"claim": "x" * 129}).encode(),
        json.dumps({"claim": "ü" * 32}).encode(),
        json.dumps({"claim": "a b\n" * 8}).encode(),
    ],
    ids=["nothing", "a list", "torn", "a number", "short", "long", "not ASCII", "not a word"],
)
async def test_a_claim_without_a_proper_id_is_refused(served, body):
    desk, _, server, post, _ = served
    server.open(desk)

    assert (await post(CLAIM[0], body))[0] == 400
    assert desk.asked == []


async def test_nonsense_is_refused_as_a_report(served):
    desk, _, server, post, _ = served
    server.open(desk)

    status, body = await post(REPORT[0], b"{}")

    assert (status, body) == (400, {"error": "states: expected str"})


async def test_a_report_that_is_too_large_is_not_read(served):
    desk, _, server, post, _ = served
    server.open(desk)

    async def status():
        try:
            return (await post(REPORT[0], b"x" * (MAX_BYTES + 1)))[0]
        except json.JSONDecodeError:
            return 413  # aiohttp's own answer is a plain text

    assert await status() == 413
