"""Flags of TLS: what goes together, and that there is no way without it."""

import pytest

from factotum.controller.settings import Settings, TlsFiles

FILES = ["--tls-ca-file=ca", "--tls-cert-file=crt", "--tls-key-file=key"]


@pytest.mark.parametrize(
    "url", ["http://op:8080", "op:8080", "https://", "https://op:x", "https://op:0", "ftp://op", ""]
)
def test_claims_without_tls_are_not_to_be_had(url):
    with pytest.raises(SystemExit, match="no claims URL: it must be https"):
        Settings.from_arguments([f"--claims-url={url}"])


def test_the_certificate_is_for_the_host_of_the_claims_url_and_what_else_is_named():
    flags = ["--claims-url=https://op.ns.svc.cluster.local.:8080/x", "--tls-name=op.ns.svc"]
    flags += ["--tls-name=10.0.0.1", "--tls-name=op.ns.svc"]

    names = Settings.from_arguments(flags).certificate_names
    assert names == ("op.ns.svc.cluster.local", "op.ns.svc", "10.0.0.1")


def test_names_may_come_from_one_variable(monkeypatch):
    monkeypatch.setenv("FACTOTUM_TLS_NAME", "a,b")

    assert Settings.from_arguments([]).tls_names == ("a", "b")


def test_files_of_somebody_else_are_three():
    assert Settings.from_arguments(FILES).tls_files == TlsFiles("ca", "crt", "key")
    assert Settings.from_arguments([]).tls_files is None


@pytest.mark.parametrize("missing", range(3))
def test_two_files_are_not_enough(missing):
    given = [flag for number, flag in enumerate(FILES) if number != missing]

    with pytest.raises(SystemExit, match="go together"):
        Settings.from_arguments(given)
