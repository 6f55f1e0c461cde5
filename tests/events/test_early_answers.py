"""Consumers that answer before they have read all of a large event. Real: sockets."""

import socket
import threading

import pytest

from factotum.events.posting import Poster
from factotum.events.urls import parse_webhook_url

LARGE = b"x" * 20_000_000


def post_to(serve, timeout=5.0):
    """Post a large body to a consumer that does this with its first connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: serve(listener.accept()[0]))
        thread.start()
        url = parse_webhook_url(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        answer = Poster(url, timeout).post(LARGE, lambda: None)
        thread.join()
    return answer.status, answer.reason


@pytest.mark.parametrize("status", [200, 413])
def test_answer_counts_though_the_consumer_closes_without_reading_the_rest(status):
    def serve(connection):
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 %d Early\r\n\r\n" % status)

    assert post_to(serve) == (status, "Early")


def test_answer_counts_though_the_consumer_never_reads_the_rest():
    done = threading.Event()

    def serve(connection):
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 Early\r\n\r\n")
            done.wait(1)

    assert post_to(serve, timeout=0.5) == (200, "Early")


def test_consumer_that_closes_without_an_answer_has_not_got_the_event():
    def serve(connection):
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 Ear")

    status, reason = post_to(serve)

    assert status == 0
    assert reason.endswith(("(os error 104)", "(os error 32)"))
