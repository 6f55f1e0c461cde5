"""Claims and reports that come to a replica which does not lead.

Real: two servers of the claims port, their sockets, TLS. The desks only record, and who leads is
what the test says. What no replica of ours would answer, a server of the test does.
"""

import asyncio
import json
import socket
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import pytest

from factotum.controller.claims.judging import Denied, Granted, Later
from factotum.controller.claims.passing import MARK, PROOF, NoLeaderError, PassingOn, proof
from factotum.controller.claims.server import ClaimsServer
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from support.builders.jobs import CLAIM_ID, make_report
from support.http.certificates import asking, serving
from support.http.receivers import HANG, Receiver, Reply, reply

LEADER, OTHER = "leader_1", "other_1"
CLAIM = "/v1/claims/job/2/3", json.dumps({"claim": CLAIM_ID}).encode()
REPORT = "/v1/reports/job/2", make_report().to_json()
BOTH = pytest.mark.parametrize("call", [CLAIM, REPORT], ids=["claim", "report"])


TRUSTING = {"tls": asking, "server_name": "operator.test"}
"""How replicas speak to each other: by the Service's name, which is no replica's address."""


class Known(NamedTuple):
    holder: str
    address: str


class Reviewer:
    """Knows the tokens that begin with ``pod-``."""

    def __init__(self):
        self.asked = []

    async def identify(self, token):
        self.asked.append(token)
        if not token.startswith("pod-"):
            return None
        return PodIdentity(namespace="pipelines", pod_name=token, pod_uid=f"uid of {token}")


class RecordingDesk:
    def __init__(self):
        self.asked = []
        self.answer = Granted(body={"factfile": "{}"})

    async def claim(self, request, identity):
        self.asked.append((request, identity))
        return self.answer

    async def report(self, uid, attempt, report, identity):
        self.asked.append((uid, attempt, report, identity))
        return self.answer


class Replica:
    """A claims port, whose part in the election the test settles."""

    def __init__(self, name, **options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.name, self.leader = name, None
        self.desk, self.reviewer = RecordingDesk(), Reviewer()
        self.server = ClaimsServer(
            self.reviewer, host="127.0.0.1", port=self.port, tls=serving(), name=name
        )
        self.passing = PassingOn(lambda: self.leader, **(TRUSTING | options))

    @property
    def known(self):
        """How others know it as their leader."""
        return Known(self.name, f"127.0.0.1:{self.port}")

    async def __aenter__(self):
        await self.server.start()
        self.server.stand_by(self.passing)
        return self

    async def __aexit__(self, *_):
        await self.server.stop()
        await self.passing.close()

    async def post(self, call, pod="pod-a", headers=()):
        path, body = call
        headers = {"Authorization": f"Bearer {pod}", **dict(headers)}
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers, ssl=asking()) as response,
        ):
            return response.status, await response.json()


@pytest.fixture
async def replicas():
    """Return the leader and another replica, which knows it."""
    async with Replica(LEADER) as leader, Replica(OTHER) as other:
        leader.server.open(leader.desk)
        other.leader = leader.known
        yield leader, other


@BOTH
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Granted(body={"factfile": "{}"}), (200, {"factfile": "{}"})),
        (Denied(status=409, message="taken"), (409, {"error": "taken"})),
        (Denied(status=410, message="over"), (410, {"error": "over"})),
        (Later(message="not yet"), (503, {"error": "not yet"})),
    ],
    ids=["granted", "taken", "over", "later"],
)
async def test_the_leaders_word_reaches_the_runner(replicas, call, answer, told):
    leader, other = replicas
    leader.desk.answer = answer

    assert await other.post(call) == told
    assert len(leader.desk.asked) == 1


async def test_what_is_passed_on_arrives_as_it_was_asked(replicas):
    leader, other = replicas

    await leader.post(CLAIM)
    await other.post(CLAIM)
    await leader.post(REPORT)
    await other.post(REPORT)
    direct, passed, reported, passed_report = leader.desk.asked
    assert direct == passed
    assert reported == passed_report


@BOTH
async def test_the_pods_own_token_is_its_credential_there_too(replicas, call):
    leader, other = replicas

    await other.post(call, "pod-b")
    assert leader.reviewer.asked == other.reviewer.asked == ["pod-b"]


@BOTH
async def test_nothing_of_anybody_unproven_is_passed_on(replicas, call):
    leader, other = replicas

    assert (await other.post(call, "stolen"))[0] == 401
    assert leader.reviewer.asked == []


async def test_nothing_without_the_right_form_is_passed_on(replicas):
    leader, other = replicas

    assert (await other.post((CLAIM[0], b'{"claim": "short"}')))[0] == 400
    assert (await other.post((REPORT[0], b"no report")))[0] == 400
    assert leader.reviewer.asked == []


@BOTH
async def test_a_large_answer_comes_whole(replicas, call):
    leader, other = replicas
    text = "äöü" * 500_000
    leader.desk.answer = Granted(body={"factfile": text})

    assert await other.post(call) == (200, {"factfile": text})


@BOTH
async def test_while_nobody_leads_the_runner_is_to_ask_again(replicas, call):
    _, other = replicas
    other.leader = None

    assert await other.post(call) == (503, {"error": "no replica leads now"})


@BOTH
async def test_a_leader_that_is_gone_is_no_verdict(replicas, call):
    leader, other = replicas
    await leader.server.stop()

    status, body = await other.post(call)
    assert status == 503
    # Addresses inside are nothing for Pods.
    assert body == {"error": "the leader cannot be asked now"}


@BOTH
async def test_two_that_take_each_other_for_the_leader_do_not_go_in_circles(replicas, call):
    leader, other = replicas
    leader.server.stand_by(leader.passing)
    leader.leader = other.known

    assert (await other.post(call))[0] == 503
    assert leader.reviewer.asked == other.reviewer.asked == ["pod-a"]


@BOTH
async def test_the_answer_of_the_process_before_does_not_count(replicas, call):
    leader, other = replicas
    leader.desk.answer = Denied(status=410, message="over")
    other.leader = leader.known._replace(holder="leader_0")

    assert (await other.post(call))[0] == 503


@BOTH
async def test_a_pod_that_marks_its_request_itself_gets_nothing_by_it(replicas, call):
    leader, other = replicas

    assert (await other.post(call, headers={MARK: "word"}))[0] == 503
    assert leader.desk.asked == []
    assert (await leader.post(call, headers={MARK: "wörd" * 500}))[0] == 200


def proving(answer):
    """Answer as the leader does, with the proof that it is given."""
    return lambda _, request: answer(proof(LEADER, request.header(MARK)))


def refusing(proved):
    return reply(410, {PROOF: proved}, REFUSAL)


REFUSAL = json.dumps({"error": "gone"})


@BOTH
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(410, body=REFUSAL), id="a refusal of somebody else"),
        pytest.param(reply(410, {PROOF: LEADER}, body=REFUSAL), id="of one who knows the name"),
        pytest.param(
            reply(410, {PROOF: proof(LEADER, "an old word")}, body=REFUSAL), id="an old answer"
        ),
        pytest.param(reply(307, {"Location": "/elsewhere"}), id="a redirection"),
        pytest.param(Reply(b"no HTTP at all\r\n\r\n"), id="no HTTP"),
        pytest.param(Reply(), id="hung up"),
        pytest.param(
            lambda proved: Reply(
                f"HTTP/1.1 410 Gone\r\n{PROOF}: {proved}\r\nContent-Length: 99\r\n\r\n".encode()
            ),
            id="cut short",
        ),
        pytest.param(
            lambda proved: reply(410, {PROOF: proved}, body=" " * (16 * 1024 * 1024 + 1)),
            id="without an end",
        ),
    ],
)
async def test_only_the_leaders_own_whole_answer_counts(replicas, call, answer):
    _, other = replicas
    with Receiver(proving(answer) if callable(answer) else [answer], tls=serving()) as somebody:
        other.leader = Known(LEADER, f"127.0.0.1:{somebody.port}")

        assert (await other.post(call))[0] == 503
        assert len(somebody.requests) == 1


@pytest.mark.parametrize(
    "address",
    [
        *("", "nowhere", "127.0.0.1:port", ":{port}", "a b:{port}", "127.0.0.1/x:{port}"),
        *("x@127.0.0.1:{port}", "127.0.0.1:{port}#", "127.0.0.1:{port}/x", "127.0.0.1:{port}?:80"),
    ],
)
async def test_an_address_that_is_none_is_not_asked(replicas, address):
    _, other = replicas
    with Receiver(proving(refusing), tls=serving()) as somebody:
        other.leader = Known(LEADER, address.format(port=somebody.port))

        assert (await other.post(CLAIM))[0] == 503
        assert somebody.requests == []


async def test_no_proxy_of_the_surroundings_is_asked(replicas, monkeypatch):
    leader, other = replicas
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")

    assert (await other.post(CLAIM))[0] == 200
    assert len(leader.desk.asked) == 1


async def test_a_leader_of_ipv6_is_asked(replicas):
    _, other = replicas
    with Receiver(proving(refusing), tls=serving(), family=socket.AF_INET6) as leader:
        for address in (f"::1:{leader.port}", f"[::1]:{leader.port}"):
            other.leader = Known(LEADER, address)
            assert (await other.post(CLAIM))[0] == 410


async def test_a_leader_that_hangs_is_waited_for_only_so_long():
    with Receiver([HANG], tls=serving()) as somebody:
        async with Replica(OTHER, seconds=0.3) as other:
            other.leader = Known(LEADER, f"127.0.0.1:{somebody.port}")

            assert (await other.post(CLAIM))[0] == 503


async def test_no_more_is_passed_on_than_can_be_kept():
    with Receiver([HANG], tls=serving()) as somebody:
        known = [Known(LEADER, f"127.0.0.1:{somebody.port}")]
        passing = PassingOn(lambda: known[0], **TRUSTING, seconds=5, most=3)
        waiting = [asyncio.create_task(passing.post("/", b"", "t")) for _ in range(3)]
        await asyncio.sleep(0.1)

        with pytest.raises(NoLeaderError, match="too many"):
            await passing.post("/", b"", "t")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        known[0] = None
        with pytest.raises(NoLeaderError, match="no replica leads"):
            await passing.post("/", b"", "t")
        await passing.close()


async def test_each_request_has_a_connection_of_its_own_which_ends_with_it(replicas):
    """So the leader's door counts it as that Pod's, and no Pod puts out another one's."""
    leader, other = replicas

    await asyncio.gather(*(other.post(REPORT, f"pod-{n}") for n in range(20)))
    assert len(leader.desk.asked) == 20
    for _ in range(100):
        if not len(leader.server._door):
            break
        await asyncio.sleep(0.01)
    assert len(leader.server._door) == 0


async def test_readiness_tells_what_a_replica_does(replicas):
    leader, other = replicas

    async with aiohttp.ClientSession() as session:
        for replica, text in ((leader, "leading"), (other, "standing by")):
            async with session.get(
                f"https://127.0.0.1:{replica.port}/readyz", ssl=asking()
            ) as response:
                assert (response.status, await response.text()) == (200, text)


@pytest.mark.parametrize(
    ("name", "status"),
    [("operator.test", 410), ("another.system.svc", 503)],
    ids=["its name", "another name"],
)
async def test_the_leader_shows_the_services_name(name, status):
    with Receiver(proving(refusing), tls=serving()) as leader:
        async with Replica(OTHER, server_name=name) as other:
            other.leader = Known(LEADER, f"127.0.0.1:{leader.port}")

            assert (await other.post(CLAIM))[0] == status


async def test_somebody_whom_our_authority_does_not_vouch_for_is_told_nothing():
    stranger = authority.make(("operator.test",), datetime.now(UTC), Lifetimes())
    with Receiver(proving(refusing), tls=serving(stranger)) as leader:
        async with Replica(OTHER) as other:
            other.leader = Known(LEADER, f"127.0.0.1:{leader.port}")

            assert (await other.post(CLAIM))[0] == 503
            assert leader.requests == []
