"""Bodies of requests that are refused anyway: read within bounds, and never kept.

Real: the server as a process, raw connections.
"""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from factotum.gateway.original.requests import MAX_BODY_BYTES
from support.server.http import ask, encode
from support.server.rest import JSON
from support.server.running import Server


def test_a_huge_body_without_the_token_is_refused_like_any_other(zygote, tmp_path):
    (tmp_path / "token").write_text("let-me-in\n")
    with Server(zygote, tmp_path, f"--token-file={tmp_path / 'token'}") as server:
        for path, status in (("/submit", 401), ("/nope", 404)):
            answer = ask(server.port, "POST", path, JSON, bytes(MAX_BODY_BYTES + 1))

            assert answer.status == status


def drip_megabytes(port, path, released):
    """Send the beginning of a large body, and go on slowly for as long as one may."""
    head = {**JSON, "Content-Length": "90000000"}
    with (
        socket.create_connection(("127.0.0.1", port)) as line,
        contextlib.suppress(OSError),
    ):
        line.sendall(encode(port, "POST", path, head, bytes(2_000_000)))
        while not released.wait(0.5):
            line.sendall(bytes(4096))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["path", "token"])
def test_bodies_that_nobody_wants_take_no_turn_of_those_that_count(zygote, tmp_path, headers):
    (tmp_path / "token").write_text("let-me-in\n")
    released = threading.Event()
    path = "/submit" if headers else "/nope"
    with (
        Server(zygote, tmp_path, f"--token-file={tmp_path / 'token'}") as server,
        ThreadPoolExecutor(4) as threads,
    ):
        try:
            for _ in range(4):
                threads.submit(drip_megabytes, server.port, path, released)
            known = {**JSON, "Authorization": "Bearer let-me-in"}
            for _ in range(3):
                answer = ask(server.port, "POST", "/settings", known, b" " * 2_000_000)
                assert b"Error decoding JSON" in answer.body
        finally:
            released.set()
