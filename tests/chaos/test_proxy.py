"""A proxy that doubles and delays requests. Real: sockets, and an HTTP server behind it."""

import http.client
import http.server
import threading
import time

import pytest

from support.http.proxies import Act, Proxy


class Counting(http.server.BaseHTTPRequestHandler):
    """Answers with how many requests came before, and closes the line."""

    protocol_version = "HTTP/1.1"
    arrived: list[float]

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.arrived.append(time.monotonic())
        body = b"taken"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def arrived():
    return []


@pytest.fixture
def proxy(arrived):
    handler = type("Handler", (Counting,), {"arrived": arrived})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Proxy("127.0.0.1", server.server_address[1]) as made:
            yield made
        server.shutdown()
        thread.join()


def post(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request("POST", "/", b"hello")
        return connection.getresponse().read()
    finally:
        connection.close()


def wait_for(arrived, count):
    deadline = time.monotonic() + 20
    while len(arrived) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_doubled_request_arrives_twice_and_is_answered_once(proxy, arrived):
    proxy.rule = lambda _: Act.DOUBLE
    assert post(proxy) == b"taken"
    wait_for(arrived, 2)
    assert len(proxy.seen(Act.DOUBLE)) == 1


def test_a_delayed_request_arrives_later(proxy, arrived):
    proxy.rule = lambda _: Act.DELAY
    proxy.delay_seconds = 0.4
    began = time.monotonic()
    assert post(proxy) == b"taken"
    assert arrived[0] - began >= 0.4


def test_a_request_whose_answer_is_lost_has_arrived(proxy, arrived):
    proxy.rule = lambda _: Act.LOSE_ANSWER
    with pytest.raises((http.client.HTTPException, OSError)):
        post(proxy)
    wait_for(arrived, 1)
