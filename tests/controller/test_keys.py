"""Whose a Pod's token is, by the API server's public keys: what they tell, and what they leave to
it. Real: keys, signatures and the check; the API server is one in memory that publishes keys.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from factotum.controller.claims.keys import SigningKeys
from factotum.controller.claims.tokens import NotSureError, PodIdentity, TokenReviewer
from factotum.controller.clock import HeldClock
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import NOW

AUDIENCE = "factotum-operator"
ISSUER = "https://kubernetes.default.svc"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
POD = PodIdentity(namespace="pipelines", pod_name="nightly-1-1-0", pod_uid="pod-uid-1")
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def published(**keys):
    """Give the key set that the API server publishes."""
    algorithms = {"ES256": jwt.algorithms.ECAlgorithm, "RS256": jwt.algorithms.RSAAlgorithm}
    made = []
    for kid, key in keys.items():
        name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        made.append(
            algorithms[name].to_jwk(key.public_key(), as_dict=True)
            | {"kid": kid, "alg": name, "use": "sig"}
        )
    return {"keys": made, "metadata": {}}


def api(**keys):
    server = MemoryApi()
    server.put(paths.OPENID_CONFIGURATION, {"issuer": ISSUER, "metadata": {}})
    server.put(paths.OPENID_KEYS, published(**(keys or {"first": KEY})))
    return server


def claims(**changes):
    """Give what the API server says in a Pod's token."""
    bound = {"namespace": "pipelines", "pod": {"name": POD.pod_name, "uid": POD.pod_uid}}
    now = int(time.time())
    return {
        "aud": [AUDIENCE],
        "exp": now + 600,
        "nbf": now,
        "iss": ISSUER,
        "sub": "system:serviceaccount:pipelines:default",
        "kubernetes.io": bound,
    } | changes


def without(*names):
    """Give these with some left out."""
    return {name: value for name, value in claims().items() if name not in names}


def signed(body=None, *, key=KEY, kid="first", algorithm="ES256"):
    return jwt.encode(body or claims(), key, algorithm=algorithm, headers={"kid": kid})


def unsigned():
    parts = [{"alg": "none", "kid": "first"}, claims()]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    return b".".join([*encoded, b""]).decode()


def with_shared_secret():
    """Sign with the public key as if it were a secret: everybody has that."""
    head = {"alg": "HS256", "kid": "first", "typ": "JWT"}
    made = jwt.encode(claims(), "x" * 32, algorithm="HS256", headers=head)
    message = made.rpartition(".")[0]
    digest = hmac.new(PUBLIC_PEM, message.encode(), hashlib.sha256).digest()
    return f"{message}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("key", "algorithm"), [(KEY, "ES256"), (RSA_KEY, "RS256")], ids=["elliptic", "RSA"]
)
async def test_a_pods_token_tells_which_pod_it_is(key, algorithm):
    server = api(first=key)
    token = signed(key=key, algorithm=algorithm)

    assert (
        await TokenReviewer(
            server, AUDIENCE, SigningKeys(server, AUDIENCE, HeldClock(NOW))
        ).identify(token)
        == POD
    )
    assert {each.method for each in server.requests} == {"GET"}


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(key=OTHER_KEY), id="signed by another key of that id"),
        pytest.param(unsigned(), id="not signed"),
        pytest.param(with_shared_secret(), id="signed with the public key as a secret"),
        pytest.param(signed(claims(aud=["elsewhere"])), id="for somebody else"),
        pytest.param(signed(claims(exp=int(time.time()) - 60)), id="of the past"),
        pytest.param(signed(claims(nbf=int(time.time()) + 600)), id="of the future"),
        pytest.param(signed(without("exp")), id="for ever"),
        pytest.param(signed(without("aud")), id="for nobody"),
        pytest.param(signed(without("sub")), id="of nobody"),
        pytest.param(signed(without("iss")), id="of no issuer"),
        pytest.param(signed(claims(**{"kubernetes.io": {}})), id="of no Pod"),
        pytest.param(signed(claims(**{"kubernetes.io": "pod"})), id="of a word"),
        pytest.param(
            signed(
                claims(
                    **{"kubernetes.io": {"namespace": "pipelines", "pod": {"name": 7, "uid": "u"}}}
                )
            ),
            id="of a number",
        ),
        pytest.param(
            signed(claims(sub="system:serviceaccount:elsewhere:default")), id="of two namespaces"
        ),
        pytest.param(signed(claims(sub="somebody")), id="of a person"),
        pytest.param(signed(claims(more="x" * 16_384)), id="too long"),
        pytest.param("no.token.atall", id="no token"),
        pytest.param("", id="nothing"),
        pytest.param("." * 16_000, id="dots"),
    ],
)
async def test_what_is_surely_no_pods_token_is_nobodys_without_a_review(token):
    server = api()

    assert (
        await TokenReviewer(
            server, AUDIENCE, SigningKeys(server, AUDIENCE, HeldClock(NOW))
        ).identify(token)
        is None
    )
    assert [each.method for each in server.requests if each.method == "POST"] == []


async def test_a_token_of_another_issuer_or_an_unknown_key_is_left_to_the_api_server():
    keys = SigningKeys(api(), AUDIENCE, HeldClock(NOW))

    for token in (signed(claims(iss="https://old.example")), signed(kid="second")):
        with pytest.raises(NotSureError):
            await keys.identify(token)


async def test_keys_that_cannot_be_read_are_asked_for_once_a_minute():
    server = MemoryApi()
    keys = SigningKeys(server, AUDIENCE, HeldClock(NOW))

    for _ in range(20):
        with pytest.raises(NotSureError):
            await keys.identify(signed())
    assert len(server.requests) == 1


async def test_a_new_key_is_found_and_one_that_was_taken_away_counts_no_more():
    server, clock = api(first=KEY), HeldClock(NOW)
    keys = SigningKeys(server, AUDIENCE, clock)
    assert await keys.identify(signed()) == POD
    server.put(paths.OPENID_KEYS, published(second=OTHER_KEY))

    with pytest.raises(NotSureError):
        await keys.identify(signed(key=OTHER_KEY, kid="second"))
    clock.move(61.0)
    assert await keys.identify(signed(key=OTHER_KEY, kid="second")) == POD
    with pytest.raises(NotSureError):
        await keys.identify(signed())


async def test_a_key_that_was_taken_away_counts_no_more_though_nobody_shows_another():
    server, clock = api(), HeldClock(NOW)
    keys = SigningKeys(server, AUDIENCE, clock)
    assert await keys.identify(signed()) == POD
    server.put(paths.OPENID_KEYS, published(second=OTHER_KEY))

    clock.move(599.0)
    assert await keys.identify(signed()) == POD
    clock.move(1.0)
    with pytest.raises(NotSureError):
        await keys.identify(signed())


@pytest.mark.parametrize("odd", [{"keys": 7}, {"keys": [{}]}, {}, {"keys": []}])
async def test_an_odd_key_set_is_as_none(odd):
    server = api()
    server.put(paths.OPENID_KEYS, odd | {"metadata": {}})

    with pytest.raises(NotSureError):
        await SigningKeys(server, AUDIENCE, HeldClock(NOW)).identify(signed())


async def test_an_api_server_that_is_away_leaves_the_keys_that_are_known():
    server, clock = api(), HeldClock(NOW)
    keys = SigningKeys(server, AUDIENCE, clock)
    assert await keys.identify(signed()) == POD

    def away(_):
        raise errors.from_status(503, "", "away")

    server.on_request = away
    clock.move(700.0)
    assert await keys.identify(signed()) == POD
