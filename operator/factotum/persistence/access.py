"""How Consul lets us in: plainly or by TLS, and with which token.

What files hold is read again while the operator runs, since a Secret that is mounted changes in
place: a token within seconds, certificates for the next connection. Must not know
what is asked of Consul, nor repeat a token in any message.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from factotum.core.errors import FactotumError
from factotum.persistence.errors import StoreUnreachableError

_TOKEN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the credentials are. Files are PEM; empty: none."""

    tls: bool = False
    """Speak TLS."""
    ca_file: str = ""
    """Certificates of who vouches for Consul; empty: those that the system trusts."""
    cert_file: str = ""
    """Our own certificate, if Consul wants one."""
    key_file: str = ""
    """Its key."""
    server_name: str = ""
    """The name in Consul's certificate, if it is not the address's."""
    token_file: str = ""
    """Holds the token."""
    token: str = field(default="", repr=False)
    """The token, if it is in no file."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read what Consul's own variables say.

        Raises:
            ConsulVariableError: ``CONSUL_HTTP_TOKEN`` holds no token.
        """
        token = environ.get("CONSUL_HTTP_TOKEN", "").strip()
        if token and not is_token(token):
            raise ConsulVariableError("CONSUL_HTTP_TOKEN holds no token")
        return cls(tls=environ.get("CONSUL_HTTP_SSL") == "true", token=token)

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str],
        *,
        tls: bool,
        ca_file: str,
        cert_file: str,
        key_file: str,
        server_name: str,
        token_file: str,
    ) -> Self:
        """Read what a command line says, and beside it Consul's own variables.

        Whoever names an authority, a certificate of his own or a name in Consul's wants TLS.

        Raises:
            ConsulVariableError: ``CONSUL_HTTP_TOKEN`` holds no token.
            ConsulFilesError: a certificate comes without its key, or the other way round.
        """
        if bool(cert_file) is not bool(key_file):
            raise ConsulFilesError("--consul-cert-file and --consul-key-file go together")
        access = cls.from_environment(environ)
        return replace(
            access,
            tls=access.tls or tls or any((ca_file, cert_file, server_name)),
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            server_name=server_name,
            token_file=token_file,
        )

    @property
    def shows_token_to_everybody(self) -> bool:
        """Whether a token goes over a plain connection."""
        return bool(self.token or self.token_file) and not self.tls


class ConsulVariableError(FactotumError):
    """A variable of Consul's own does not hold what it should."""


class ConsulFilesError(FactotumError):
    """The files that are named do not make sense together."""


def is_token(text: str) -> bool:
    """Whether a text is one word of ASCII characters."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


class Credentials:
    """The token and the certificates of the moment. Safe for threads.

    Args:
        access: where they are.
        clock: seconds that only grow.
    """

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._token = access.token
        self._token_until = float("-inf")
        self._context: ssl.SSLContext | None = None
        self._context_of: tuple[tuple[int, int], ...] = ()
        self.server_name: Final = access.server_name

    def token(self) -> str:
        """Return the token, empty if there is none.

        Raises:
            StoreUnreachableError: its file cannot be read, or holds no token.
        """
        name = self._access.token_file
        with self._lock:
            if name and self._clock() >= self._token_until:
                self._token = _read_token(name)
                self._token_until = self._clock() + _TOKEN_SECONDS
            return self._token

    def context(self) -> ssl.SSLContext | None:
        """Return what the next connection is secured with; None: it is plain.

        Raises:
            StoreUnreachableError: a file cannot be read or holds nothing of use.
        """
        access = self._access
        if not access.tls:
            return None
        names = [name for name in (access.ca_file, access.cert_file, access.key_file) if name]
        with self._lock:
            versions = tuple(_version(name) for name in names)
            if self._context is None or versions != self._context_of:
                self._context, self._context_of = _context(access), versions
            return self._context


def _read_token(name: str) -> str:
    try:
        text = Path(name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--consul-token-file {name} cannot be read: {_reason(error)}"
        raise StoreUnreachableError(msg) from None
    if not is_token(text):
        msg = f"--consul-token-file {name} holds no token: it must be one word of ASCII characters"
        raise StoreUnreachableError(msg)
    return text


def _version(name: str) -> tuple[int, int]:
    try:
        found = Path(name).stat()
    except OSError as error:
        msg = f"{name} cannot be read: {_reason(error)}"
        raise StoreUnreachableError(msg) from None
    return found.st_mtime_ns, found.st_ino


def _context(access: Access) -> ssl.SSLContext:
    place = f"--consul-ca-file {access.ca_file}"
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
        if access.cert_file:
            place = f"--consul-cert-file {access.cert_file} and its key"
            # A key with a passphrase would have the terminal asked for it.
            context.load_cert_chain(access.cert_file, access.key_file, password=lambda: b"")
    except (OSError, ValueError) as error:
        msg = f"{place} cannot be used: {_reason(error)}"
        raise StoreUnreachableError(msg) from None
    return context


def _reason(error: Exception) -> str:
    """Say what is wrong without the file's content, which a decoding error would quote."""
    if isinstance(error, ssl.SSLError):
        return f"not PEM as it must be ({error.reason or 'unknown reason'})"
    return (error.strerror if isinstance(error, OSError) else None) or "not text"
