"""What our certificates are used for: one context that every port serves by, renewed in place."""

import contextlib
import logging
import os
import ssl
from collections.abc import Callable
from typing import Final

from factotum.controller.tls.authority import UnusableError

logger = logging.getLogger(__name__)

_AT_ANY_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the library has no name for."""


class Identity:
    """Who we are to those who connect, now.

    Attributes:
        server: the context of every port of ours; the next handshake shows what was taken last.
        client: the context by which to speak to another replica's ports.
        trusted: the authorities that others are to trust, PEM; not secret.
    """

    def __init__(self) -> None:
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Runners and API servers of our time speak it, and it needs one round less.
        self.server.minimum_version = ssl.TLSVersion.TLSv1_3
        # Runners keep their line instead of resuming sessions.
        self.server.num_tickets = 0
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trusted = ""
        self._shown = ("", "")
        self._listeners: list[Callable[[], None]] = []

    def on_new_trust(self, listener: Callable[[], None]) -> None:
        """Have a listener called whenever other authorities are to be trusted."""
        self._listeners.append(listener)

    def take(self, *, trusted: str, chain: str, key: str) -> None:
        """Show these from now on.

        Raises:
            UnusableError: they are none, or do not belong together; what was there stays.
        """
        # One without a file is a list of authorities that can be read, at least.
        try:
            client = client_context(trusted)
            if (chain, key) != self._shown:
                _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)
                _load(self.server, chain, key)
        except (ssl.SSLError, OSError, ValueError) as exc:
            raise UnusableError(f"the certificates cannot be used: {exc}") from exc
        self._shown = (chain, key)
        if trusted != self.trusted:
            self.trusted, self.client = trusted, client
            for listener in self._listeners:
                listener()


def client_context(trusted: str) -> ssl.SSLContext:
    """Return the context by which a replica, or a test, speaks to one of these ports.

    Args:
        trusted: ``Identity.trusted``. Each replica shows the same certificate, so the name to
            expect (``server_hostname``) is the host of ``--claims-url``, whatever the address.

    Raises:
        ssl.SSLError, ValueError: these are no certificates.
    """
    if not trusted.strip():
        raise ValueError("there is no authority to trust")
    context = ssl.create_default_context(cadata=trusted)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def try_out(*, trusted: str, chain: str, key: str, host: str) -> None:
    """Do in memory what a Pod does first, whatever the time is: clocks differ, and go wrong.

    Args:
        host: the name that it expects.

    Raises:
        UnusableError: it would go away.
    """
    try:
        client_side = client_context(trusted)
        client_side.verify_flags |= _AT_ANY_TIME
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(server_side, chain, key)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_side.wrap_bio(back, there, server_hostname=host)
        server = server_side.wrap_bio(there, back, server_side=True)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise UnusableError(f"no Pod would trust it: {exc}") from exc


def _load(context: ssl.SSLContext, chain: str, key: str) -> None:
    # The library reads files only; this one has no name, and no disk sees the key.
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{key.rstrip()}\n{chain}".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
