"""Who a server of the tests is: an authority and a certificate for this machine's loopback."""

import functools
import ssl
from datetime import UTC, datetime

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, Material
from factotum.controller.tls.identity import Identity, client_context

HOSTS = ("127.0.0.1", "localhost", "operator.test")


@functools.cache
def loopback() -> Material:
    """Return certificates for this machine, the same in the whole process."""
    return authority.make(HOSTS, datetime.now(UTC), Lifetimes())


def identity_of(material: Material) -> Identity:
    """Return an identity that shows these."""
    identity = Identity()
    identity.take(trusted=material.trusted, chain=material.chain, key=material.key)
    return identity


def serving(material: Material | None = None) -> ssl.SSLContext:
    """Return the context of a server."""
    return identity_of(material or loopback()).server


def asking(material: Material | None = None) -> ssl.SSLContext:
    """Return the context of a client that trusts the server."""
    return client_context((material or loopback()).trusted)
