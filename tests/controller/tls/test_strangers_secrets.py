"""A Secret of certificates that somebody else wrote into: what is of no use is written anew.

Real: certificates, keys and handshakes; the API in memory.
"""

import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtensionOID, NameOID

from factotum.controller.clock import SystemClock
from factotum.controller.tls.identity import Identity, client_context
from factotum.controller.tls.keeping import Kept
from factotum.kube import paths
from factotum.kube.memory import MemoryApi

PATH = paths.item(paths.SECRETS, "ours-tls", "ours")
HOST = "operator.example"
FIELDS = ("ca.crt", "ca.key", "tls.crt", "tls.key")
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
KEY = ec.generate_private_key(ec.SECP256R1())
CURVE = bytes.fromhex("06082a8648ce3d030107")
NO_CURVE = bytes.fromhex("06082a8648ce3d03017f")
OURS = x509.SubjectAlternativeName([x509.DNSName(HOST)])


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(key, *, by=None, may_sign=True, extension=OURS, begins=-1):
    """Make a certificate, its own or another one's, valid from some day on."""
    now = datetime.now(UTC)
    subject = named("them" if by is None else "us")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(named("them"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=3000))
        .add_extension(x509.BasicConstraints(ca=may_sign, path_length=None), critical=True)
        .add_extension(extension, critical=False)
        .sign(by or key, hashes.SHA256())
    )


def pem(made):
    return made.public_bytes(Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def on_no_curve(key):
    """Return a key as it would be on a curve that nobody knows."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert CURVE in der
    text = base64.encodebytes(der.replace(CURVE, NO_CURVE)).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"


def theirs(**fields):
    return certificate(KEY, by=AUTHORITY, may_sign=False, **fields)


GOOD = (pem(certificate(AUTHORITY)), key_pem(AUTHORITY), pem(theirs()), key_pem(KEY))
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
ODD_NAME = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"0\x04\xa3\x02\x05\0")

OF_NO_USE = {
    "an authority that may not sign": (pem(certificate(AUTHORITY, may_sign=False)), *GOOD[1:]),
    "a key that is too short": (
        *GOOD[:2],
        pem(certificate(SHORT, by=AUTHORITY, may_sign=False)),
        key_pem(SHORT),
    ),
    "a curve that nobody knows": (GOOD[0], on_no_curve(AUTHORITY), *GOOD[2:]),
    "a name of a kind that nobody uses": (*GOOD[:2], pem(theirs(extension=ODD_NAME)), GOOD[3]),
    "the authority's own certificate, twice": (GOOD[0], GOOD[1], GOOD[0], GOOD[3]),
    "texts": ("a", "b", "c", "d"),
    "nothing": ("", "", "", ""),
}


def put(api, texts):
    data = {
        field: base64.b64encode(text.encode()).decode()
        for field, text in zip(FIELDS, texts, strict=True)
    }
    metadata = api.stored(PATH) or {"metadata": {"name": "ours-tls", "namespace": "ours"}}
    api.put(PATH, {"metadata": metadata["metadata"], "data": data})


def stored(api):
    return {field: base64.b64decode(api.stored(PATH)["data"][field]).decode() for field in FIELDS}


def kept(api):
    return Kept(api, SystemClock(), namespace="ours", name="ours-tls", hosts=(HOST,))


def greet(identity):
    """Do what a Pod that is made now does first."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    pod = client_context(identity.trusted).wrap_bio(back, there, server_hostname=HOST)
    port = identity.server.wrap_bio(there, back, server_side=True)
    for side in (pod, port):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    pod.do_handshake()
    port.do_handshake()


@pytest.mark.parametrize("texts", OF_NO_USE.values(), ids=OF_NO_USE)
async def test_what_no_pod_would_trust_is_written_again_as_it_was(texts):
    api, identity = MemoryApi(), Identity()
    source = kept(api)
    await source.look(identity)
    before = stored(api)
    put(api, texts)
    await source.look(identity)

    assert stored(api) == before
    assert identity.trusted == before["ca.crt"]
    greet(identity)


@pytest.mark.parametrize("texts", OF_NO_USE.values(), ids=OF_NO_USE)
async def test_what_no_pod_would_trust_does_not_keep_an_operator_from_starting(texts):
    api, identity = MemoryApi(), Identity()
    put(api, texts)
    source = kept(api)
    await source.look(identity)

    assert identity.trusted == stored(api)["ca.crt"] != texts[0]
    greet(identity)
    api.requests.clear()
    await source.look(identity)
    assert [request.method for request in api.requests] == ["GET"]


async def test_an_authority_of_somebody_who_has_the_right_to_is_taken():
    api, identity = MemoryApi(), Identity()
    source = kept(api)
    await source.look(identity)
    put(api, GOOD)
    await source.look(identity)

    assert identity.trusted == GOOD[0]
    assert stored(api) == dict(zip(FIELDS, GOOD, strict=True))
    greet(identity)


async def test_a_clock_that_is_behind_throws_no_authority_away():
    api, identity = MemoryApi(), Identity()
    early = (pem(certificate(AUTHORITY, begins=100)), GOOD[1], pem(theirs(begins=100)), GOOD[3])
    put(api, early)
    await kept(api).look(identity)

    assert identity.trusted == early[0]
    assert stored(api) == dict(zip(FIELDS, early, strict=True))


async def test_names_of_any_number_are_settled_by_one_certificate():
    api, identity = MemoryApi(), Identity()
    await kept(api).look(identity)
    hosts = [HOST, *(f"n{number}.example" for number in range(50))]
    source = Kept(api, SystemClock(), namespace="ours", name="ours-tls", hosts=hosts)
    await source.look(identity)
    api.requests.clear()
    await source.look(identity)

    assert [request.method for request in api.requests] == ["GET"]
