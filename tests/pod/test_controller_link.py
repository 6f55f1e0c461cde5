"""The runner's line to the controller: whom it trusts, how long it waits, and when it asks twice.

Real: TLS on loopback, the C module on one side and Python's own on the other. The server answers
by hand.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from factotum.pod.controller_link import ControllerLink, UnreachableError
from factotum.pod.line import Line, Trust
from factotum.pod.surroundings import Surroundings
from support.http.certificates import loopback, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Controller:
    """Accepts connections one after another; `answers` says what each request gets."""

    def __init__(self, *answers, context=None, greets=True):
        self.answers = list(answers)
        self.requests = []
        self.lines = 0
        self._context = context or serving()
        self._greets = greets
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.lines += 1
                self._open.append(connection)
                if self._greets:
                    threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError, ValueError):
            line = self._context.wrap_socket(connection, server_side=True)
            self._open.append(line)
            while request := self._read(line):
                self.requests.append(request)
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    line.close()
                    return
                for part in answer if isinstance(answer, list) else [answer]:
                    line.sendall(part)
                    time.sleep(0.02)
                if b"close" in (answer if isinstance(answer, bytes) else b""):
                    line.unwrap()
                    return

    @staticmethod
    def _read(line):
        received = b""
        while not received.endswith(b"{}"):
            chunk = line.recv(4096)
            if not chunk:
                return b""
            received += chunk
        return received

    def close(self):
        for each in (*self._open, self._socket):
            each.close()


@pytest.fixture
def link(tmp_path):
    """Return a way to make links to a controller."""
    token = tmp_path / "token"
    token.write_text("a-token\n")
    with contextlib.ExitStack() as stack:

        def make(*answers, host="127.0.0.1", trusted=None, **options):
            controller = Controller(*answers, **options)
            stack.callback(controller.close)
            surroundings = Surroundings(
                {
                    "FACTOTUM_OPERATOR_URL": f"https://{host}:{controller.port}/base",
                    "FACTOTUM_OPERATOR_CA": trusted or loopback().trusted,
                    "FACTOTUM_JOB_UID": "uid",
                    "FACTOTUM_ATTEMPT": "1",
                    "FACTOTUM_LAUNCH": "1",
                    "FACTOTUM_TOKEN_FILE": str(token),
                }
            )
            made = ControllerLink(surroundings)
            stack.callback(made.close)
            return made, controller

        yield make


def post(link, seconds=5.0):
    return link.post("/v1/x", b"{}", seconds=seconds)


def test_a_request_says_who_asks_and_reaches_its_place(link):
    made, controller = link(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}')

    reply = post(made)

    assert (reply.status, reply.body) == (200, {"a": 1})
    head = controller.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /base/v1/x HTTP/1.1"
    assert "Authorization: Bearer a-token" in head


def test_the_line_is_kept_for_what_is_asked_next(link):
    made, controller = link()

    assert [post(made).status for _ in range(5)] == [200] * 5
    assert (controller.lines, len(controller.requests)) == (1, 5)


def test_two_that_ask_at_once_do_not_wait_for_each_other(link):
    slow = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", *([b""] * 20), b"{}"]
    made, controller = link(slow)
    first = threading.Thread(target=post, args=(made,))
    first.start()
    while not controller.requests:
        time.sleep(0.005)
    began = time.monotonic()
    assert post(made).status == 200
    seconds = time.monotonic() - began
    first.join()

    assert seconds < 0.3
    assert controller.lines == 2


def test_a_kept_line_that_was_ended_meanwhile_is_replaced_by_another(link):
    made, controller = link(OK, None, OK)
    assert post(made).status == 200

    assert post(made).status == 200
    assert (controller.lines, len(controller.requests)) == (2, 3)


def test_a_new_line_that_ends_without_an_answer_is_no_answer(link):
    made, controller = link(None)

    with pytest.raises(UnreachableError):
        post(made)
    assert len(controller.requests) == 1


def test_an_answer_that_was_cut_is_none_and_is_not_asked_for_again(link):
    made, controller = link(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{} close")
    assert post(made).status == 200

    with pytest.raises(UnreachableError):
        post(made)
    assert len(controller.requests) == 2


def test_an_answer_without_a_length_ends_with_its_line(link):
    made, controller = link(b'HTTP/1.1 200 OK\r\n\r\n{"a":"close"}', OK)

    assert post(made).body == {"a": "close"}
    assert post(made).status == 200
    assert controller.lines == 2


@pytest.mark.parametrize(
    "whole", [OK, b'HTTP/1.1 409 No\r\ncontent-length: 13\r\n\r\n{"error":"x"}']
)
def test_an_answer_may_come_in_any_pieces(link, whole):
    made, _ = link([whole[index : index + 1] for index in range(len(whole))])

    assert post(made).status == int(whole[9:12])


@pytest.mark.parametrize("length", [b"-1", b"x", b"99999999999999"])
def test_a_length_that_is_none_is_no_answer(link, length):
    made, _ = link(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n{}close")

    with pytest.raises(UnreachableError):
        post(made, seconds=1)


def test_somebody_whom_our_authority_does_not_know_gets_no_token(link):
    other = authority.make(("127.0.0.1",), datetime.now(UTC), Lifetimes())
    made, controller = link(context=serving(other))

    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        post(made)
    assert controller.requests == []


def test_somebody_of_another_name_gets_no_token(link):
    other = authority.make(("elsewhere.example",), datetime.now(UTC), Lifetimes())
    made, controller = link(context=serving(other), trusted=other.trusted)

    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        post(made)
    assert controller.requests == []


def test_a_name_with_the_dot_of_the_root_is_the_name(link):
    _, controller = link()
    trust = Trust(loopback().trusted, "operator.test.")

    line = Line(("127.0.0.1", controller.port), trust, time.monotonic() + 5)
    line.close()
    assert line.is_fresh


def test_a_certificate_whose_time_is_over_counts_for_nothing(link):
    past = datetime(2020, 1, 1, tzinfo=UTC)
    over = authority.make(("127.0.0.1",), past, Lifetimes())
    made, controller = link(context=serving(over), trusted=over.trusted)

    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        post(made)
    assert controller.requests == []


@pytest.mark.parametrize("trusted", ["nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_authorities_that_are_none_are_told_as_a_line_that_cannot_be_had(link, trusted):
    made, _ = link(trusted=trusted)

    with pytest.raises(UnreachableError):
        post(made)


def test_a_handshake_that_never_ends_takes_no_longer_than_was_given(link):
    made, _ = link(greets=False)
    began = time.monotonic()

    with pytest.raises(UnreachableError):
        post(made, seconds=0.4)
    assert 0.3 < time.monotonic() - began < 3


def test_a_line_costs_one_module_in_c():
    program = (
        "import sys; before = set(sys.modules); import factotum.pod.line\n"
        "print(sorted(n for n in set(sys.modules) - before if not n.startswith('factotum')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "['__future__', '_socket', '_ssl']\n"
