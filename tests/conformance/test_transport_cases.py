"""Cases of how events are sent that no recorded run is named after (W-048, W-049, W-053).

Real: the installed command, an HTTP server that misbehaves, TLS with a certificate of our own.
"""

import ssl
import subprocess

import pytest

from support.builders.factfiles import EMPTY
from support.http.receivers import DROP, Receiver, Reply, reply


@pytest.mark.parametrize(
    ("first", "tries"),
    [
        pytest.param(reply(302), 2, id="W-048.no-location"),
        pytest.param(reply(302, {"Location": "/other"}), 2, id="W-048.location"),
    ],
)
def test_redirect_is_a_failed_try(first, tries, post):
    posted = post(EMPTY, answers=[first, 200])

    assert [request.target for request in posted.requests] == ["/"] * (tries + 2)
    assert posted.requests[0].body == posted.requests[1].body
    assert posted.run.out.endswith("Waiting for webhook to finish sending events... done!\n")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("/\u00e4 b/../c?q=\u00e4", "/c?q=%C3%A4", id="W-049.dots"),
        pytest.param("/a b#fragment", "/a%20b", id="W-049.fragment"),
        pytest.param("", "/", id="W-049.empty"),
    ],
)
def test_request_target_is_normalised(path, target, post):
    proxy = {"http_proxy": "http://127.0.0.1:1/", "HTTP_PROXY": "http://127.0.0.1:1/"}

    posted = post(EMPTY, path=path, environ=proxy)

    assert [request.target for request in posted.requests] == [target] * 3


@pytest.mark.parametrize("case", [pytest.param(None, id="W-049.user-info")])
def test_user_info_is_not_sent(case, factotum, tmp_path):
    (tmp_path / "job").write_text(EMPTY)
    with Receiver() as receiver:
        factotum("run", "job", "--webhook", f"http://user:secret@127.0.0.1:{receiver.port}/x")

    headers = dict(receiver.requests[0].headers)
    assert receiver.requests[0].target == "/x"
    assert list(headers) == ["Host", "Content-Type", "Content-Length"]
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key, in one file each."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize(
    ("trusted", "warned"),
    [
        pytest.param(False, True, id="W-053.self-signed"),
        pytest.param(True, False, id="W-053.trusted"),
    ],
)
def test_certificate_must_be_trusted_by_the_system(
    trusted, warned, certificate, factotum, tmp_path
):
    (tmp_path / "job").write_text(EMPTY)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    store = {"SSL_CERT_FILE": str(certificate / "cert.pem")} if trusted else {}

    with Receiver(tls=server) as receiver:
        run = factotum("run", "job", "--webhook", receiver.url, environ=store)

    assert run.exit == 0
    assert ("Warning: some events failed to send" in run.out) is warned
    assert len(receiver.requests) == (0 if warned else 3)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(DROP, id="W-053.closed"),
        pytest.param(Reply(b"220 smtp ready\r\n"), id="W-053.not-http"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\nX: "), id="W-053.cut-in-headers"),
    ],
)
def test_answer_that_is_none_is_a_failed_try(first, post):
    posted = post(EMPTY, answers=[first, first, first, 200])

    bodies = [request.body for request in posted.requests]
    assert len(bodies) == 5
    assert bodies[0] == bodies[1] == bodies[2] != bodies[3]
    assert posted.run.out.endswith(" done!\nWarning: some events failed to send\n")


@pytest.mark.parametrize("case", [pytest.param(None, id="W-053.unknown-host")])
def test_unknown_host_is_a_failed_try(case, factotum, tmp_path):
    (tmp_path / "job").write_text(EMPTY)

    run = factotum("run", "job", "--webhook", "http://nosuchhost.invalid/")

    log = (tmp_path / ".factotum" / "factotum.log").read_text()
    assert run.exit == 0
    assert run.out.endswith(" done!\nWarning: some events failed to send\n")
    assert log.count("Failed to send webhook update to 'http://nosuchhost.invalid/': {") == 9
    assert log.count("Reason: 0, ") == 9
