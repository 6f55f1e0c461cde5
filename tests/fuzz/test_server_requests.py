"""Requests of every kind to the original's API: never a 5xx, never a hang.

Real: the server as a process, raw connections. Small by itself; `ACCEPTANCE=full`
takes 100,000 requests.
"""

import contextlib
import json
import random
import socket
import time

import pytest

from support.cluster.acceptance import sized
from support.server.forking import Zygote
from support.server.http import read
from support.server.running import Server, factfile

COUNT = sized(100_000, 1_500)
SECONDS = 30.0

METHODS = [
    "GET",
    "POST",
    "HEAD",
    "OPTIONS",
    "PUT",
    "DELETE",
    "PATCH",
    "get",
    "TRACE",
    "\x00",
    "A" * 50,
]
PATHS = [
    "/",
    "/help",
    "/status",
    "/check",
    "/settings",
    "/submit",
    "/nope",
    "*",
    "//",
    "/..",
    "/%00",
]
QUERIES = [
    "",
    "?",
    "?id=x",
    "?pretty=1",
    "?id=../x",
    "?id=%ff&id=%00",
    "?" + "a=b&" * 300,
    "?id=" + "x" * 3000,
]
HEADERS = [
    "Host: x",
    "Host: ",
    "Content-Type: application/json",
    "Content-Type: multipart/form-data; boundary=x",
    "Content-Type: nonsense",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Expect: 100-continue",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Origin: null",
    "Authorization: Bearer x",
    "X: " + "y" * 2000,
    "\xff: \xfe",
    "no colon",
    " folded",
]
PIECES = [
    "{", "}", "[", "]", ",", ":", "null", "true", "1e999", "-0", '"', "\\u0000", "\\ud800",
    "\x00", "\xff", '"state"', '"drain"', '"run"', '"jobName"', '"factfilePath"', '"factfileArgs"',
    '"--tag"', '"a,b"', '"/"', '"/dev/null"', '"/proc/self/mem"', '"JOB"', '["--start","x"]',
    '{"jobName":"x","factfilePath":"JOB","factfileArgs":',
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Zygote() as zygote, Server(zygote, tmp_path_factory.mktemp("server")) as server:
        server.write("job", factfile("true"))
        yield server


def request(chance, job):
    body = "".join(chance.choices(PIECES, k=chance.randrange(12))).replace("JOB", job)
    if chance.random() < 0.4:
        args = [chance.choice(["--tag", "a,b", "--bogus", "\0", "", "-", "--", "ü", "x" * 900])]
        body = json.dumps({"jobName": "x", "factfilePath": job, "factfileArgs": args})
    payload = body.encode("latin-1", "replace")
    headers = chance.choices(HEADERS, k=chance.randrange(5))
    if chance.random() < 0.8:
        headers += ["Host: x", f"Content-Length: {len(payload)}"]
    head = f"{chance.choice(METHODS)} {chance.choice(PATHS)}{chance.choice(QUERIES)} HTTP/1.1"
    raw = "\r\n".join([head, *headers]).encode("latin-1") + b"\r\n\r\n" + payload
    if chance.random() < 0.1:
        place = chance.randrange(len(raw))
        raw = raw[:place] + chance.randbytes(3) + raw[place + 3 :]
    return raw


def test_no_request_harms_the_server(server):
    chance = random.Random(20260301)  # noqa: S311 - the same requests each time
    statuses = {}
    for number in range(COUNT):
        raw = request(chance, str(server.folder / "job"))
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as line:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(raw)
                line.shutdown(socket.SHUT_WR)
            try:
                with line.makefile("rb") as file:
                    answer = read(file, raw[:4].decode("latin-1"))
                    status = answer.status
                    while status == 100:
                        status = read(file).status
            except ConnectionResetError:
                status = None
        statuses[status] = statuses.get(status, 0) + 1
        assert status is None or status < 500, (number, raw)
        assert time.monotonic() - began < SECONDS, (number, raw)

    assert server.ask("/status").status == 200
    assert {200, 400, 404, None} <= statuses.keys()
    print(f"\n{COUNT} requests: {dict(sorted(statuses.items(), key=str))}")
