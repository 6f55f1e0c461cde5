"""Asking all replicas of an operator whether one more job would be taken.

Real: HTTP, and servers that hang. All are on this machine: an address each.
"""

import contextlib
import http.server
import socket
import threading

import pytest

from factotum.kube.operators import Operators
from support.consul.process import free_ports


class Draining(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"the operator drains\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    """One of a replica that drains at 127.0.0.1 and one that hangs at 127.0.0.2."""
    (number,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        hanging = stack.enter_context(socket.create_server(("127.0.0.2", number)))
        hanging.listen()
        server = stack.enter_context(http.server.HTTPServer(("127.0.0.1", number), Draining))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        yield number


async def test_a_replica_that_hangs_takes_no_other_ones_answer_away(port, monkeypatch):
    def both(*_, **__):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "127.0.0.2")
        ]

    # The one thing that cannot be had here: a name of two addresses.
    monkeypatch.setattr(socket, "getaddrinfo", both)

    assert await Operators("operators", port).refusals() == ["the operator drains"]


async def test_a_name_that_nobody_knows_refuses_nothing():
    assert await Operators("no.such.name.invalid", 1).refusals() == []
