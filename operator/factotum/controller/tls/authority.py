"""The operator's own authority and its certificate: when one is due, and how it is made.

Pure but for the making of keys. A Pod knows the authorities of the moment it was made, for as
long as it runs; so a new authority begins years before the old one ends, and the old one vouches
for it once more (a cross certificate, sent along with ours). Its key is then thrown away.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from factotum.core.errors import FactotumError

_AUTHORITY: Final = "factotum-operator"
_BACKDATED: Final = timedelta(hours=1)
"""For clocks that go behind ours."""
_MOST_NAMES: Final = 32


_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library makes of keys and certificates that it has no use for."""


class UnusableError(FactotumError):
    """What is stored is no authority and certificate that belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long things are valid, and how long before their end they are replaced."""

    authority: timedelta = timedelta(days=5 * 365)
    authority_overlap: timedelta = timedelta(days=2 * 365)
    certificate: timedelta = timedelta(days=90)
    certificate_overlap: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Certificates and keys, PEM.

    Attributes:
        trusted: the authorities that others are to trust, the one that signs first.
        authority_key: of the one that signs.
        chain: our certificate, and what leads from older authorities to it.
        key: of our certificate.
    """

    trusted: str
    authority_key: str
    chain: str
    key: str


def make(names: Sequence[str], now: datetime, lifetimes: Lifetimes) -> Material:
    """Make an authority and a certificate for these names."""
    key = _new_key()
    authority = _make_authority(key, None, now, lifetimes)
    return _issue([authority], key, [], names, now, lifetimes)


def renew(
    material: Material, names: Sequence[str], now: datetime, lifetimes: Lifetimes
) -> Material | None:
    """Make what is due anew; None if nothing is.

    Raises:
        UnusableError: this is nothing that could be renewed.
    """
    try:
        return _renewed(material, names, now, lifetimes)
    except _UNREADABLE as exc:
        raise UnusableError(f"not certificates and keys of ours: {exc}") from exc


def _renewed(
    material: Material, names: Sequence[str], now: datetime, lifetimes: Lifetimes
) -> Material | None:
    trusted, key, chain = _read(material)
    mine, crossed = chain[0], chain[1:]
    newest = trusted[0]
    if newest.not_valid_after_utc - now < lifetimes.authority_overlap:
        successor = _new_key()
        authority = _make_authority(successor, None, now, lifetimes)
        if newest.not_valid_after_utc > now:
            crossed = [_make_authority(successor, (newest, key), now, lifetimes), *crossed]
        trusted, key = [authority, *trusted], successor
    elif not _is_due(mine, newest, names, now, lifetimes):
        return None
    # Names that other replicas asked for stay: two versions must not take turns.
    wanted = dict.fromkeys([*names, *_names_of(mine)])
    most = max(_MOST_NAMES, len(names))
    return _issue(
        [each for each in trusted if each.not_valid_after_utc > now],
        key,
        [each for each in crossed if each.not_valid_after_utc > now],
        list(wanted)[:most],
        now,
        lifetimes,
    )


def _is_due(
    mine: x509.Certificate,
    newest: x509.Certificate,
    names: Iterable[str],
    now: datetime,
    lifetimes: Lifetimes,
) -> bool:
    try:
        mine.verify_directly_issued_by(newest)
    except Exception:  # noqa: BLE001 - of several libraries' kinds; all say: not by this one
        return True
    has_all = set(names) <= set(_names_of(mine))
    return not has_all or mine.not_valid_after_utc - now < lifetimes.certificate_overlap


def _issue(
    trusted: Sequence[x509.Certificate],
    authority_key: ec.EllipticCurvePrivateKey,
    crossed: Sequence[x509.Certificate],
    names: Sequence[str],
    now: datetime,
    lifetimes: Lifetimes,
) -> Material:
    key = _new_key()
    authority = trusted[0]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    mine = (
        _begun(key.public_key(), _named(f"{_AUTHORITY} claims"), authority.subject, now)
        .not_valid_after(min(now + lifetimes.certificate, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(alternatives, critical=False)
        .add_extension(_identifier(authority_key), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Material(
        trusted=_pem(trusted),
        authority_key=_key_pem(authority_key),
        chain=_pem([mine, *crossed]),
        key=_key_pem(key),
    )


def _make_authority(
    key: ec.EllipticCurvePrivateKey,
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    now: datetime,
    lifetimes: Lifetimes,
) -> x509.Certificate:
    """Make an authority's certificate, signed by itself or by an older one."""
    # Of its own name, so that nobody takes it for its predecessor.
    digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:16]
    subject = _named(f"{_AUTHORITY} {digest}")
    issuer, signer = (subject, key) if by is None else (by[0].subject, by[1])
    end = now + lifetimes.authority
    if by is not None:
        end = min(end, by[0].not_valid_after_utc)
    return (
        _begun(key.public_key(), subject, issuer, now)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(_identifier(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _begun(
    key: ec.EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _read(
    material: Material,
) -> tuple[list[x509.Certificate], ec.EllipticCurvePrivateKey, list[x509.Certificate]]:
    trusted = x509.load_pem_x509_certificates(material.trusted.encode())
    chain = x509.load_pem_x509_certificates(material.chain.encode())
    authority_key = load_pem_private_key(material.authority_key.encode(), None)
    key = load_pem_private_key(material.key.encode(), None)
    pairs = (("authority", trusted[0], authority_key), ("certificate", chain[0], key))
    for what, certificate, owner in pairs:
        if certificate.public_key() != owner.public_key():
            raise UnusableError(f"the key is not the {what}'s")
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise UnusableError("the authority's key is of a kind that is not used here")
    return trusted, authority_key, chain


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return [*found.value.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _identifier(signer: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
