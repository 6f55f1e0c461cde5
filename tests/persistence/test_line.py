"""The kept connection to Consul: one for many requests, made anew when the other side ended it.

Real: a socket of this machine; it answers by hand what it is told to.
"""

import http.client
import socket
import threading

import pytest

from factotum.persistence.line import Line

ANSWER = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]"


class Other:
    """The other side: answers so many requests of each connection, then ends it."""

    def __init__(self, *counts, answer=ANSWER):
        self.heads = []
        self.connections = 0
        self.ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, args=(counts, answer), daemon=True).start()

    def _serve(self, counts, answer):
        with self._socket:
            for count in counts:
                connection, _ = self._socket.accept()
                self.connections += 1
                with connection:
                    for _ in range(count):
                        self.heads.append(connection.recv(65536))
                        connection.sendall(answer)
                self.ended.set()


@pytest.fixture
def line_to():
    lines = []

    def make(other):
        line = Line("127.0.0.1", other.port, connect_seconds=2, read_seconds=2)
        lines.append(line)
        return line

    yield make
    for line in lines:
        line.close()


def ask(line, path="/v1/kv/a", **more):
    return line.get(lambda answer: (answer.code, answer.headers["x-consul-index"]), path, **more)


def test_many_requests_take_one_connection(line_to):
    other = Other(3)
    line = line_to(other)

    answers = [ask(line) for _ in range(3)]

    assert answers == [(200, "7")] * 3
    assert other.connections == 1


def test_a_connection_that_was_ended_meanwhile_is_made_anew(line_to):
    other = Other(1, 1)
    line = line_to(other)
    ask(line)
    other.ended.wait(5)

    assert ask(line) == (200, "7")
    assert other.connections == 2


def test_after_half_an_answer_the_next_request_has_a_connection_of_its_own(line_to):
    other = Other(1, 1, answer=ANSWER.replace(b"Length: 2", b"Length: 9"))
    line = line_to(other)

    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            ask(line)
    assert other.connections == 2


def test_paths_and_parameters_are_quoted(line_to):
    other = Other(1)

    ask(line_to(other), "/v1/kv/a b\r\nHost: x", params={"recurse": "1&2"})

    assert other.heads[0].split(b"\r\n")[0] == (
        b"GET /v1/kv/a%20b%0D%0AHost:%20x?recurse=1%262 HTTP/1.1"
    )


def test_a_proxy_of_the_environment_is_not_asked(line_to, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert ask(line_to(Other(1))) == (200, "7")


def test_whoever_does_not_answer_is_waited_for_that_long_and_no_longer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = Line("127.0.0.1", silent.getsockname()[1], connect_seconds=2, read_seconds=0.2)
        with pytest.raises(TimeoutError):
            ask(line)
