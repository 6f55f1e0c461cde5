"""What stands in the environment for TLS libraries and proxies, and what it may do to events.

Real: the installed command, a consumer with a certificate of its own, plain and encrypted.
"""

import ssl
import subprocess

import pytest

from support.builders.factfiles import EMPTY
from support.commands import factotum_command, run_command
from support.http.receivers import Receiver

ODD = {
    "key-log-in-no-folder": {"SSLKEYLOGFILE": "/nowhere/keys"},
    "key-log-is-a-folder": {"SSLKEYLOGFILE": "/"},
    "key-log-is-a-full-disk": {"SSLKEYLOGFILE": "/dev/full"},
    "key-log-is-a-pipe": {"SSLKEYLOGFILE": "pipe"},
    "engines": {"OPENSSL_ENGINES": "/nowhere", "OPENSSL_MODULES": "/nowhere"},
    "configuration-is-missing": {"OPENSSL_CONF": "/nowhere"},
    "configuration-is-a-folder": {"OPENSSL_CONF": "/"},
    "proxies": dict.fromkeys(
        ("http_proxy", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"),
        "http://127.0.0.1:1/",
    ),
}
WITHOUT_TRUST = {
    "store-is-missing": {"SSL_CERT_FILE": "/nowhere", "SSL_CERT_DIR": "/nowhere"},
    "store-is-a-folder": {"SSL_CERT_FILE": "/", "SSL_CERT_DIR": "/"},
    "store-is-no-store": {"SSL_CERT_FILE": "/bin/sh", "SSL_CERT_DIR": "/bin/sh"},
    "store-is-named-by-nothing": {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
    "no-ciphers": {"OPENSSL_CONF": "no-ciphers.cnf"},
}
NO_CIPHERS = """
openssl_conf = all
[all]
providers = some
[some]
base = basic
[basic]
activate = 1
"""


def as_params(*tables):
    return [pytest.param(environ, id=name) for table in tables for name, environ in table.items()]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
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


@pytest.fixture
def run(tmp_path):
    (tmp_path / "job").write_text(EMPTY)
    (tmp_path / "no-ciphers.cnf").write_text(NO_CIPHERS)
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)

    def make(url, environ):
        argv = [factotum_command(), "run", "job", "--webhook", url, "--webhook-backoff", "0"]
        done = run_command(argv, cwd=tmp_path, environ=environ, timeout=20)
        assert (done.exit, done.timed_out, done.err) == (0, False, "")
        return done, (tmp_path / ".factotum" / "factotum.log").read_text()

    return make


def encrypted(certificate):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return Receiver(tls=server)


@pytest.mark.parametrize("environ", as_params(ODD, WITHOUT_TRUST))
def test_plain_webhook_does_not_care(environ, run):
    with Receiver() as receiver:
        done, _ = run(receiver.url, environ)

    assert "Warning" not in done.out
    assert len(receiver.requests) == 3


def test_plain_webhook_never_reads_the_configuration_of_a_library_for_tls(run):
    """The pipe would keep whoever reads it for ever."""
    with Receiver() as receiver:
        done, _ = run(receiver.url, {"OPENSSL_CONF": "pipe"})

    assert "Warning" not in done.out
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("environ", as_params(ODD))
def test_encrypted_webhook_is_delivered_all_the_same(environ, certificate, run):
    with encrypted(certificate) as receiver:
        done, _ = run(receiver.url, {"SSL_CERT_FILE": str(certificate / "cert.pem"), **environ})

    assert "Warning" not in done.out
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("environ", as_params(WITHOUT_TRUST))
def test_encrypted_webhook_without_trust_is_a_failed_delivery(environ, certificate, run):
    with encrypted(certificate) as receiver:
        done, log = run(receiver.url, environ)

    assert done.out.endswith(" done!\nWarning: some events failed to send\n")
    assert log.count("Reason: 0, [SSL: ") == 9
    assert receiver.requests == []
