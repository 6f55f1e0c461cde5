"""Who vouches for us, over years: certificates made for held moments, and read by OpenSSL itself.

Real: keys, signatures, and the verification of chains by the library that runners use.
"""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, Material, UnusableError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TIMES = Lifetimes()
DAY = timedelta(days=1)
HOSTS = ("operator.example.svc", "10.0.0.7")


def certificates(text):
    return x509.load_pem_x509_certificates(text.encode())


def trusts(trusted, material, moment, host=HOSTS[0]):
    """Whether somebody who trusts these authorities accepts what is shown at a moment."""
    mine, *others = certificates(material.chain)
    verifier = (
        PolicyBuilder()
        .store(Store(certificates(trusted)))
        .time(moment)
        .build_server_verifier(x509.DNSName(host))
    )
    try:
        verifier.verify(mine, others)
    except VerificationError:
        return False
    return True


def lived_until(material, moment, step=DAY):
    """Let an operator look at its certificates day after day; return what it has then."""
    now = NOW
    while now < moment:
        now += step
        material = authority.renew(material, HOSTS, now, TIMES) or material
    return material


@pytest.fixture(scope="module")
def first():
    return authority.make(HOSTS, NOW, TIMES)


def test_what_was_just_made_is_trusted_for_its_names_only(first):
    assert trusts(first.trusted, first, NOW)
    assert not trusts(first.trusted, first, NOW, host="other.example.svc")


def test_nothing_is_renewed_before_its_time(first):
    assert authority.renew(first, HOSTS, NOW + 59 * DAY, TIMES) is None


def test_a_certificate_is_renewed_a_month_before_its_end_by_the_same_authority(first):
    later = NOW + 61 * DAY
    renewed = authority.renew(first, HOSTS, later, TIMES)

    assert renewed is not None
    assert renewed.trusted == first.trusted
    assert renewed.key != first.key
    assert trusts(first.trusted, renewed, later + 80 * DAY)


def test_a_name_that_is_missing_is_added_and_the_others_stay(first):
    renewed = authority.renew(first, ("new.example.svc",), NOW + DAY, TIMES)

    assert renewed is not None
    for host in ("new.example.svc", HOSTS[0]):
        assert trusts(first.trusted, renewed, NOW + DAY, host)
    assert authority.renew(renewed, HOSTS, NOW + DAY, TIMES) is None


def test_names_do_not_grow_without_end(first):
    material = first
    for number in range(60):
        names = (f"n{number}.example",)
        material = authority.renew(material, names, NOW, TIMES) or material

    mine = certificates(material.chain)[0]
    names = mine.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(list(names)) == 32
    assert trusts(material.trusted, material, NOW, "n59.example")


def test_whoever_knows_the_old_authority_alone_trusts_the_new_one_until_it_ends(first):
    after = NOW + 4 * 365 * DAY
    material = lived_until(first, after, step=20 * DAY)

    assert len(certificates(material.trusted)) == 2
    assert certificates(material.trusted)[1] == certificates(first.trusted)[0]
    assert trusts(first.trusted, material, after)
    newest = "".join(material.trusted.partition("-----END CERTIFICATE-----\n")[:2])
    assert trusts(newest, material, after)


def test_through_fifteen_years_nobody_of_the_last_two_is_turned_away(first):
    known, material, now = [(NOW, first.trusted)], first, NOW
    while now < NOW + 15 * 365 * DAY:
        now += 25 * DAY
        material = authority.renew(material, HOSTS, now, TIMES) or material
        known.append((now, material.trusted))
        recent = [text for moment, text in known[::6] if now - moment < 2 * 365 * DAY]
        assert all(trusts(text, material, now) for text in recent), now
    assert len(certificates(material.trusted)) <= 2
    assert len(certificates(material.chain)) <= 3


def test_an_operator_that_slept_past_every_end_begins_anew(first):
    later = NOW + 9 * 365 * DAY
    renewed = authority.renew(first, HOSTS, later, TIMES)

    assert renewed is not None
    assert trusts(renewed.trusted, renewed, later)
    assert len(certificates(renewed.trusted)) == 1


def test_the_key_of_a_former_authority_is_not_kept(first):
    material = lived_until(first, NOW + 4 * 365 * DAY, step=20 * DAY)

    assert first.authority_key not in (material.authority_key, material.key)


@pytest.mark.parametrize(
    "field", ["trusted", "authority_key", "chain", "key"], ids=lambda name: name
)
@pytest.mark.parametrize("value", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_is_spoiled_is_said_to_be(first, field, value):
    spoiled = Material(**{n: getattr(first, n) for n in Material.__slots__} | {field: value})

    with pytest.raises(UnusableError):
        authority.renew(spoiled, HOSTS, NOW, TIMES)


@pytest.mark.parametrize("field", ["authority_key", "key"])
def test_a_key_of_somebody_else_is_found_out(first, field):
    other = authority.make(HOSTS, NOW, TIMES)
    mixed = {n: getattr(first, n) for n in Material.__slots__} | {field: getattr(other, field)}

    with pytest.raises(UnusableError, match="the key is not the"):
        authority.renew(Material(**mixed), HOSTS, NOW, TIMES)
