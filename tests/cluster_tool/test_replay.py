"""What the test node's player says for a runner is what the real runner says, request by request.

Real: the runner as a process of the test node, its sockets, a server that records raw requests.
The server grants claims by hand, so that this says nothing about the operator.
"""

import asyncio
import contextlib
import json
import sys
import threading
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from factotum.core.wire import termination
from support.builders.factfiles import factfile, task
from support.http.certificates import loopback, serving
from test_node import replay
from test_node.runners import RunnerProcess

TASK_SECONDS = 0.25
ONE = factfile("one", task("only", "sleep", str(TASK_SECONDS)))
THREE = factfile(
    "three",
    task("a", "sleep", str(TASK_SECONDS)),
    task("b", "sleep", str(TASK_SECONDS), after=["a"]),
    task("c", "sleep", str(TASK_SECONDS), after=["b"]),
)
VARIES = {"claim", "started", "seconds", "runReference"}
"""Fields whose values no two runs share; that they are there, and of what kind, must fit."""


class Operator(ThreadingTCPServer):
    """Grants claims of one factfile and keeps every request; `refusals` come first, by kind."""

    daemon_threads = True

    def __init__(self, text, refusals):
        super().__init__(("127.0.0.1", 0), Handler)
        self.grant = {"factfile": text, "factfileHash": "f" * 64, "tags": {"team": "blue"}}
        self.refusals = {kind: list(statuses) for kind, statuses in refusals.items()}
        self.requests = []
        self.reported = threading.Event()

    def answer(self, head, body):
        self.requests.append((head, body))
        if b" /v1/claims/" in head:
            kind, payload = "claim", self.grant
        else:
            kind, payload = ("final" if body["final"] else "progress"), {}
            self.reported.set()
        left = self.refusals.get(kind)
        return (left.pop(0), {"error": "not now"}) if left else (200, payload)


class Handler(StreamRequestHandler):
    def setup(self):
        self.request = serving().wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        while self.answer_one():
            pass

    def finish(self):
        super().finish()
        self.request.close()

    def answer_one(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return False
            head += line
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        status, payload = self.server.answer(head, json.loads(self.rfile.read(length)))
        body = json.dumps(payload).encode()
        self.wfile.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        )
        return True


@contextlib.contextmanager
def operator(text, refusals):
    with Operator(text, refusals) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def variables_for(server):
    return {
        "FACTOTUM_OPERATOR_URL": f"https://127.0.0.1:{server.server_address[1]}",
        "FACTOTUM_OPERATOR_CA": loopback().trusted,
        "FACTOTUM_JOB_UID": "0b1f8f0a-0000-4000-8000-000000000001",
        "FACTOTUM_ATTEMPT": "2",
        "FACTOTUM_LAUNCH": "3",
        "FACTOTUM_TOKEN_FILE": "unread",
    }


async def run_really(server, folder):
    """Run `factotum work` as the test node does for a Pod."""
    token = folder / "token"
    token.write_text("a-token")
    container = await RunnerProcess.start(
        [str(Path(sys.executable).with_name("factotum")), "work"],
        variables_for(server) | {"FACTOTUM_TOKEN_FILE": str(token)},
        folder,
        number=1,
    )
    return await container.wait()


async def run_played(server, _):
    """Let the player speak for the same Pod."""
    player = replay.Player(task_seconds=TASK_SECONDS)
    return await player.container(variables_for(server), "a-token").wait()


def told(server):
    """Give what was said in a form that two runs have in common."""
    said = []
    claims = set()
    for head, body in server.requests:
        first, *headers = head.decode().rstrip("\r\n").split("\r\n")
        port = str(server.server_address[1])
        stable = [
            header.replace(port, "PORT")
            for header in headers
            if not header.startswith("Content-Length")
        ]
        claims.add(body["claim"])
        fields = [(name, shape(value) if name in VARIES else value) for name, value in body.items()]
        said.append((first, [header.partition(":")[0] for header in headers], stable, fields))
    assert len(claims) == 1, "one runner makes one claim"
    return said


def shape(value):
    """Give what a value is made of: its kind, and its length or its keys."""
    if isinstance(value, dict):
        return [(key, type(item).__name__) for key, item in value.items()]
    return type(value).__name__, len(value)


def ended(ending):
    """Give an ending without what differs between runs."""
    verdict = termination.decode(ending.message)
    if verdict is None:
        return ending.exit_code, ending.message
    return ending.exit_code, ending.reason, verdict.replace(claim_id="")


async def compare(text, tmp_path, **refusals):
    """Have both run the same, and return what both said and how both ended."""
    found = []
    for run in (run_really, run_played):
        folder = tmp_path / run.__name__
        folder.mkdir()
        with operator(text, refusals) as server:
            async with asyncio.timeout(30):
                ending = await run(server, folder)
            found.append((told(server), ended(ending)))
    real, played = found
    assert played[0] == real[0]
    assert played[1] == real[1]
    return real


@pytest.mark.parametrize(("text", "first"), [(ONE, "R"), (THREE, "RWW")], ids=["one", "three"])
async def test_a_played_runner_claims_and_reports_as_the_real_one(text, first, tmp_path):
    said, (code, _, verdict) = await compare(text, tmp_path)
    assert [line.split("/")[2] for line, *_ in said] == ["claims", "reports", "reports"]
    assert dict(said[1][3])["states"] == first
    assert dict(said[2][3])["states"] == "S" * len(first)
    assert (code, verdict.kind, verdict.states) == (0, "final", "S" * len(first))


async def test_both_ask_again_for_a_claim_that_was_not_answered_clearly(tmp_path):
    said, _ = await compare(ONE, tmp_path, claim=[503, 401])
    assert [line.split("/")[2] for line, *_ in said] == ["claims"] * 3 + ["reports"] * 2


async def test_both_end_without_a_word_when_the_claim_is_refused(tmp_path):
    said, ending = await compare(ONE, tmp_path, claim=[409])
    assert len(said) == 1
    assert ending == (75, "")


async def test_both_tell_the_verdict_again_until_it_is_taken(tmp_path):
    said, _ = await compare(ONE, tmp_path, final=[503])
    assert [dict(fields).get("final") for *_, fields in said] == [None, False, True, True]


async def test_both_say_nothing_more_to_an_operator_that_does_not_know_them(tmp_path):
    said, (code, *_) = await compare(ONE, tmp_path, final=[410])
    assert (len(said), code) == (3, 1)


async def test_a_player_has_no_more_connections_than_it_was_given(tmp_path):
    busy, most = 0, 0
    lock = threading.Lock()

    class Slow(Operator):
        def answer(self, head, body):
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            threading.Event().wait(0.02)
            with lock:
                busy -= 1
            return super().answer(head, body)

    with Slow(ONE, {}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        trace = (tmp_path / "trace").open("w")
        player = replay.Player(connections=4, task_seconds=0, trace=trace)
        runs = [player.container(variables_for(server), "a-token") for _ in range(30)]
        endings = await asyncio.gather(*(run.wait() for run in runs))
        server.shutdown()
    trace.close()
    assert {ending.exit_code for ending in endings} == {0}
    assert most == 4
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert len(lines) == 30
    assert all(line["begun"] <= line["claimed"] <= line["final"] <= line["told"] for line in lines)


async def test_a_played_runner_that_is_killed_ends_as_a_killed_process(tmp_path):
    with operator(ONE, {}) as server:
        container = replay.Player(task_seconds=60).container(variables_for(server), "a-token")
        await asyncio.to_thread(server.reported.wait, 10)
        container.kill("OOMKilled")
        ending = await container.wait()
    assert (ending.exit_code, ending.reason, ending.message) == (137, "OOMKilled", "")
