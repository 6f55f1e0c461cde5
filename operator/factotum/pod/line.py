"""One line to whoever gives out work: a connection that speaks TLS, by the C module alone.

The module ``ssl`` imports forty others and takes 25 ms, ``_ssl`` with the library behind it
takes three: each job's first task waits for one of them. What is left out is what it is
not used for here: ciphers by name, tickets, sockets that are files.
"""

from __future__ import annotations

import _socket  # the C part of socket: the module itself imports enum and selectors
import _ssl
import posix  # the C part of os, which may not be loaded yet
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CLIENT = 16  # ssl.PROTOCOL_TLS_CLIENT
_TLS_1_3 = 0x0304
_CHUNK = 64 * 1024
_MAX_PATH = 100
"""Bytes that surely fit into a socket's address; a longer one is reached by its folder."""


class _Socket(_socket.socket):
    """A socket that can be referred to weakly, as the TLS part does."""

    __slots__ = ("__weakref__",)


class Trust:
    """Who the controller must be: somebody whom one of these authorities vouches for.

    Args:
        authorities: certificates, PEM.
        name: a host's name or address, which the controller's certificate must be for.
    """

    __slots__ = ("_authorities", "_context", "_name")

    def __init__(self, authorities: str, name: str) -> None:
        self._authorities = authorities
        self._name = name.rstrip(".")
        self._context: Any = None

    def wrap(self, connection: _Socket) -> Any:
        """Prepare a connection for TLS.

        Raises:
            OSError, ValueError: the authorities or the name cannot be used.
        """
        if self._context is None:
            context = _ssl._SSLContext(_CLIENT)  # noqa: SLF001 - what the module ssl is made of
            context.minimum_version = _TLS_1_3
            # A client's own defaults, but nothing may change them from outside.
            context.verify_mode = _ssl.CERT_REQUIRED
            context.check_hostname = True
            context.load_verify_locations(cadata=self._authorities)
            self._context = context
        return self._context._wrap_socket(connection, False, self._name)  # noqa: SLF001


class Line:
    """An open line.

    Attributes:
        is_fresh: whether nothing was asked on it yet.
    """

    __slots__ = ("_connection", "_tls", "is_fresh")

    def __init__(self, address: tuple[str, int], trust: Trust, deadline: float) -> None:
        """Connect, and make sure who is there.

        Raises:
            OSError, ValueError: nobody is there in time, or somebody else.
        """
        self.is_fresh = True
        self._connection = _connect(address, deadline)
        try:
            self._tls = trust.wrap(self._connection)
            self._connection.settimeout(_left(deadline))
            self._tls.do_handshake()
        except BaseException:
            self._connection.close()
            raise

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it.

        Raises:
            OSError: the line broke, or it took too long.
        """
        self.is_fresh = False
        rest = memoryview(data)
        while rest:
            self._connection.settimeout(_left(deadline))
            rest = rest[self._tls.write(rest) :]

    def receive(self, deadline: float) -> bytes:
        """Wait for something; nothing means that the other side has ended.

        Raises:
            OSError: the line broke, or it took too long.
        """
        self._connection.settimeout(_left(deadline))
        try:
            received: bytes = self._tls.read(_CHUNK)
        except _ssl.SSLZeroReturnError:
            return b""
        return received

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class LocalLine:
    """An open line to a server on this machine, over a socket that is a file.

    Whoever can open that file may do what the server may, so there is nothing to encrypt.

    Attributes:
        is_fresh: whether nothing was asked on it yet.
    """

    __slots__ = ("_connection", "is_fresh")

    def __init__(self, path: str, deadline: float) -> None:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        self.is_fresh = True
        self._connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
        try:
            self._connection.settimeout(_left(deadline))
            self._connect(path)
        except BaseException:
            self._connection.close()
            raise

    def _connect(self, path: str) -> None:
        if len(path.encode("utf-8", "surrogateescape")) <= _MAX_PATH:
            self._connection.connect(path)
            return
        folder, _, name = path.rpartition("/")
        descriptor = posix.open(folder, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            self._connection.connect(f"/proc/self/fd/{descriptor}/{name}")
        finally:
            posix.close(descriptor)

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it.

        Raises:
            OSError: the line broke, or it took too long.
        """
        self.is_fresh = False
        self._connection.settimeout(_left(deadline))
        self._connection.sendall(data)

    def receive(self, deadline: float) -> bytes:
        """Wait for something; nothing means that the other side has ended.

        Raises:
            OSError: the line broke, or it took too long.
        """
        self._connection.settimeout(_left(deadline))
        return self._connection.recv(_CHUNK)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _connect(address: tuple[str, int], deadline: float) -> _Socket:
    failure: OSError = ConnectionError("the name resolves to no address")
    host, port = address
    # As bytes: a name given as text is put through the codec for names of all
    # scripts first, and importing that takes as long as asking the controller.
    for family, kind, protocol, _, target in _socket.getaddrinfo(
        host.encode("ascii"), port, 0, _socket.SOCK_STREAM
    ):
        connection = _Socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(target)
            # Question and answer in turns: nothing is to be waited for to send more at once.
            connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as exc:
            connection.close()
            failure = exc
        else:
            return connection
    raise failure


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
