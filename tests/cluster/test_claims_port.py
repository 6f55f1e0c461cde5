"""Connections that want nothing good of the claims port, beside a runner that has work to tell.

Real: the operator's process and its port, the API server that checks tokens, a Pod's own token.
"""

import contextlib
import itertools
import selectors
import socket
import ssl
import time
from pathlib import Path

import pytest

from support.builders.manifests import make_factfile, make_task

pytestmark = pytest.mark.cluster

CLAIM = "e" * 32
HALF_OPEN = 1500
SLOW = 40
LIMIT_SECONDS = 30 + 5
"""How long a connection may take to show a token, and how often it is looked at."""
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname = False
ANYBODY.verify_mode = ssl.CERT_NONE
HEAD = b"POST /v1/claims/x/1/1 HTTP/1.1\r\nHost: x\r\n"


class Crowd:
    """Connections of one kind, and what became of them."""

    def __init__(self, address, count, first=b"", drop=b"", *, whole=True):
        self.drop = drop
        self.open = set()
        self.selector = selectors.DefaultSelector()
        for _ in range(count):
            connection = socket.create_connection(address, timeout=10)
            if whole:
                connection = ANYBODY.wrap_socket(connection)
            connection.sendall(first)
            connection.setblocking(False)
            self.open.add(connection)
            self.selector.register(connection, selectors.EVENT_READ)

    def go_on(self):
        """Send another drop each, and take note of who was put out."""
        for key, _ in self.selector.select(0):
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                if not self._reads(key.fileobj):
                    self._leave(key.fileobj)
        for connection in list(self.open) if self.drop else ():
            try:
                connection.send(self.drop)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except OSError:
                self._leave(connection)

    def _reads(self, connection):
        try:
            return connection.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            raise
        except OSError:
            return b""

    def _leave(self, connection):
        self.open.discard(connection)
        self.selector.unregister(connection)
        connection.close()

    def close(self):
        for connection in list(self.open):
            self._leave(connection)
        self.selector.close()


def descriptors(operator):
    return len(list(Path(f"/proc/{operator.pid}/fd").iterdir()))


@pytest.mark.longer
def test_slow_and_silent_connections_are_put_out_and_a_runner_never_waits(bench):
    with bench.operator() as operator, contextlib.ExitStack() as stack:
        pod = bench.pod_side(operator, bench.create_by_hand(make_factfile(make_task("a"))))
        assert pod.claim(CLAIM)[0] == 200
        before, sequence = descriptors(operator), itertools.count(2)

        def question_takes():
            asked = time.monotonic()
            assert pod.report(CLAIM, next(sequence), "R")[0] == 200
            assert pod.claim(CLAIM)[0] == 200
            return time.monotonic() - asked

        alone = max(question_takes() for _ in range(10))
        token = f"Authorization: Bearer {'x' * 600}\r\n".encode()
        body = HEAD + token + b"Content-Length: 200000\r\n\r\n"
        kinds = {
            "silent after the handshake": (SLOW,),
            "slow heads": (SLOW, HEAD, b"a"),
            "slow bodies": (SLOW, body, b"x"),
            "slow chunks": (SLOW, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        }
        crowds = {kind: Crowd(operator.claims, *how) for kind, how in kinds.items()}
        hello = b"\x16\x03\x01\x02\x00\x01"
        for kind, how in {
            "half open": (HALF_OPEN,),
            "half handshakes": (HALF_OPEN // 4, hello),
            "slow handshakes": (SLOW, hello, b"\x00"),
        }.items():
            crowds[kind] = Crowd(operator.claims, *how, whole=False)
        for crowd in crowds.values():
            stack.callback(crowd.close)
        slowest = 0.0
        # On a busy machine the operator sees the last of them seconds after they came.
        began, patience = time.monotonic(), 2 * LIMIT_SECONDS
        while any(c.open for c in crowds.values()) and time.monotonic() - began < patience:
            for crowd in crowds.values():
                crowd.go_on()
            slowest = max(slowest, question_takes())
            time.sleep(0.5)
        seconds = time.monotonic() - began
        left = {kind: len(crowd.open) for kind, crowd in crowds.items() if crowd.open}
        assert left == {}, f"after {seconds:.0f} s"
        assert pod.report(CLAIM, next(sequence), "S", final=True)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"
        after = descriptors(operator)
        log = operator.log.read_text()

    assert slowest < max(2.0, 10 * alone)
    # Its own connections to the API server, which was asked about the tokens, stay for a while.
    assert after <= before + 64
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "nothing to say" in line]) <= 15


def request(pod, size):
    """Build a claim of a Pod that says to be bigger than what is sent of it."""
    path = f"/v1/claims/{pod.variables['FACTOTUM_JOB_UID']}/1/1"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {pod.token}\r\n"
    return f"{head}Content-Length: {size}\r\n\r\n".encode()


GARBAGE = (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 9000, b"A" * 70000)


def dialled(address):
    """Open a line as a runner does, whoever is there."""
    return ANYBODY.wrap_socket(socket.create_connection(address, timeout=10))


def speak(address, words):
    """Say something and listen for a while."""
    with contextlib.suppress(OSError), dialled(address) as connection:
        connection.settimeout(2)
        connection.sendall(words)
        connection.recv(1000)


def test_clients_that_hang_up_or_never_read_do_no_harm(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(make_factfile(make_task("a"))))
        assert pod.claim(CLAIM)[0] == 200
        said = len(operator.log.read_text().splitlines())
        for _ in range(5):
            with dialled(operator.claims) as connection:
                connection.sendall(request(pod, 5000) + b"{")
                time.sleep(0.2)
        for cut in (10, 60, 200):
            with dialled(operator.claims) as connection:
                connection.sendall(request(pod, 5)[:cut])
        for garbage in GARBAGE:
            speak(operator.claims, garbage + b"\r\n\r\n")
            with (
                contextlib.suppress(OSError),
                socket.create_connection(operator.claims, timeout=2) as bare,
            ):
                bare.sendall(garbage)
                bare.recv(1000)
        with dialled(operator.claims) as never_reads:
            never_reads.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            never_reads.setblocking(False)
            whole, rest = request(pod, 2) + b"{}", b""
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                try:
                    rest = rest or whole
                    rest = rest[never_reads.send(rest) :]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    time.sleep(0.05)
            began = time.monotonic()
            assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
            seconds = time.monotonic() - began
        assert bench.done()["outcome"] == "SUCCEEDED"
        lines = operator.log.read_text().splitlines()[said:]

    assert seconds < 2.0
    assert [line for line in lines if "Traceback" in line or not line.startswith("[")] == []
    assert len([line for line in lines if "hung up" in line]) >= 1
    assert len(lines) < 30, lines
