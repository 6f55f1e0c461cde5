"""Callers who have said all they want to say, end their half of the line and wait for the answer.

Real: the server as a process, raw connections.
"""

import json
import socket

import pytest

from support.server.http import encode
from support.server.rest import JSON, Rest
from support.server.running import Server, factfile


@pytest.fixture(scope="module")
def server(zygote, tmp_path_factory):
    with Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield server


def answer_to(port, request, seconds=20):
    """Send a request and the end of the line, and read to the end of the other half."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_what_takes_a_while_is_answered(server):
    path = server.write("job", factfile("echo half;"))
    body = {"jobName": "job", "factfilePath": str(path), "factfileArgs": []}
    submitted = encode(server.port, "POST", "/submit", JSON, json.dumps(body).encode())
    listed = encode(server.port, "GET", "/v1/jobs", {}, None)

    assert b"SUBMITTING JOB REQ" in answer_to(server.port, submitted)
    assert b" 200 OK" in answer_to(server.port, listed)


def test_all_that_was_asked_for_is_answered(server):
    request = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"

    assert answer_to(server.port, request * 3).count(b" 200 OK") == 3


def test_a_log_is_followed_to_its_end(server):
    job = Rest(server).submit("echo begin; sleep 0.5; echo end", name="followed")
    path = f"/v1/jobs/{job['key']}/log?task=0&follow=true"
    answer = answer_to(server.port, encode(server.port, "GET", path, {}, None))

    assert b"begin\n" in answer
    assert b"end\n" in answer


@pytest.mark.parametrize(
    "request_begun",
    [
        b"GET /status HTTP/1.1\r\nHost: local",
        b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{",
    ],
    ids=["head", "body"],
)
def test_a_request_that_never_gets_an_end_is_hung_up_on_at_once(server, request_begun):
    assert answer_to(server.port, request_begun, seconds=3) == b""
