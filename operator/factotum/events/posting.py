"""Make one HTTP request: POST a body to an endpoint and say what came of it.

A client of its own on a bare socket, for three reasons. The consumer must see exactly
the three headers of the original. The answer counts as soon as its headers are there,
within one time limit for all of it, which ``http.client`` cannot give: its time-out
starts anew with every byte. And ``http.client`` costs 35 ms and more to import here (it
brings the e-mail package), ``socket`` a third of that and ``ssl`` is only wanted for
https. Redirects are not followed and proxies not asked: neither is, on purpose.
"""

from __future__ import annotations

import socket
import time

from factotum.events.answers import Answer, read_answer
from factotum.events.connecting import LONGEST_WAIT, Race
from factotum.events.looking_up import Lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from factotum.events.connecting import Address
    from factotum.events.urls import Endpoint

CONTENT_TYPE = "application/json; charset=utf-8"

_CHUNK = 16 * 1024


class Poster:
    """Posts bodies to one endpoint, each on a connection of its own.

    Made and used by one thread; only `abort` may be called by another.

    Args:
        endpoint: where to post.
        timeout: seconds for one request as a whole.
        resolve: gives the addresses of a host and a port.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeout: float,
        resolve: Callable[[str, int], list[Address]] | None = None,
    ) -> None:
        self._resolve = resolve or resolve_name
        self._endpoint = endpoint
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        self._lookup: Lookup | None = None
        self._race: Race | None = None
        self._connection: socket.socket | None = None
        self._aborted = False
        # What earlier requests have taught of the name's addresses.
        self._address: Address | None = None
        self._good: Address | None = None
        self._bad: set[Address] = set()

    def post(self, body: bytes, connected: Callable[[], None]) -> Answer:
        """Send the body and return the answer; no error of the outside gets out.

        Args:
            body: of the request.
            connected: called when no further descriptor will be needed.
        """
        self._address = None
        try:
            answer = self._exchange(body, connected)
        # OSError includes resolver and TLS errors. ValueError: a name that TLS cannot ask
        # for, a label too long or none. ImportError: TLS itself cannot be had.
        except (OSError, ValueError, ImportError) as error:
            answer = Answer.of_failure(error)
            if isinstance(error, TimeoutError) and error.errno is None:  # ours, not the kernel's
                answer = Answer(0, f"no answer within {self._timeout:g} s")
        self._learn(answer)
        return answer

    def abort(self) -> None:
        """Let a request under way fail at once, and all later ones."""
        self._aborted = True
        race, connection = self._race, self._connection
        if race is not None:
            race.abort()
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # not connected any more, or closed in this moment: the flag does the rest

    def _exchange(self, body: bytes, connected: Callable[[], None]) -> Answer:
        deadline = time.monotonic() + self._timeout
        connection = self._connect(deadline)
        try:
            connected()
            return self._talk(connection, body, deadline)
        finally:
            self._connection = None
            connection.close()

    def _talk(self, connection: socket.socket, body: bytes, deadline: float) -> Answer:
        try:
            # Two writes, or the body would be copied.
            for part in (self._head(len(body)), body):
                self._limit(connection, deadline)
                connection.sendall(part)
        except OSError:
            # Some consumers answer, and close, before they have read all.
            answer = _read_what_is_there(connection)
            if answer is None:
                raise
            return answer

        def receive() -> bytes:
            self._limit(connection, deadline)
            return connection.recv(_CHUNK)

        return read_answer(receive)

    # How a connection is made.

    def _connect(self, deadline: float) -> socket.socket:
        addresses = self._find_addresses(deadline)
        while True:
            plain = self._connect_to_one(addresses, deadline)
            try:
                # Head and body are two writes: do not wait for the first one's acknowledgement.
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._endpoint.scheme != "https":
                    return plain
                now = time.monotonic()
                # A silent one must leave time for the others.
                return self._secure(plain, now + (deadline - now) / max(len(addresses), 1))
            except BaseException as error:
                connection, self._connection = self._connection, None
                (connection or plain).close()
                addresses = [each for each in addresses if each != self._address]
                if not addresses or not isinstance(error, OSError):
                    raise

    def _find_addresses(self, deadline: float) -> list[Address]:
        """Return the addresses: the one that worked first, those that did not last."""
        host, port = self._endpoint.host, self._endpoint.port
        self._lookup = lookup = self._lookup or Lookup(lambda: self._resolve(host, port))
        try:
            found = lookup.wait(deadline)
        finally:
            if lookup.has_ended:  # else its answer is the next try's
                self._lookup = None
        self._bad.intersection_update(found)
        return sorted(found, key=lambda each: (each != self._good, each in self._bad))

    def _connect_to_one(self, addresses: list[Address], deadline: float) -> socket.socket:
        self._race = race = Race(addresses, deadline)
        try:
            if self._aborted:
                race.abort()
            self._connection, self._address = race.run()
        finally:
            self._race = None
        return self._connection

    def _secure(self, plain: socket.socket, deadline: float) -> socket.socket:
        if self._tls is None:
            self._tls = _make_tls()
        # The handshake comes after the assignment, so that `abort` reaches it.
        self._connection = secured = self._tls.wrap_socket(
            plain, server_hostname=self._endpoint.host, do_handshake_on_connect=False
        )
        self._limit(secured, deadline)
        secured.do_handshake()
        return secured

    def _learn(self, answer: Answer) -> None:
        """Remember the address by what it was good for; the next try may begin with another."""
        if self._address is None:
            return
        if answer.status:
            self._good = self._address
            self._bad.clear()
        else:
            self._good = None
            self._bad.add(self._address)

    def _limit(self, connection: socket.socket, deadline: float) -> None:
        """Let the next call end by the deadline."""
        left = deadline - time.monotonic()
        if left <= 0 or self._aborted:
            raise TimeoutError
        connection.settimeout(min(left, LONGEST_WAIT))

    def _head(self, length: int) -> bytes:
        lines = (
            f"POST {self._endpoint.target} HTTP/1.1",
            f"Host: {self._endpoint.host_header}",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {length}",
            "\r\n",
        )
        return "\r\n".join(lines).encode("ascii")


def resolve_name(host: str, port: int) -> list[Address]:
    """Ask the system's resolver, which has time limits of its own."""
    name = host.encode("ascii")  # as text it would bring in a codec first
    return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)


def _make_tls() -> ssl.SSLContext:
    """Return the checks of a client by the system's trust store.

    Not ``create_default_context``: that one opens the file which SSLKEYLOGFILE names, to
    write the keys of our connections into it, and fails where it cannot.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


def _read_what_is_there(connection: socket.socket) -> Answer | None:
    try:
        connection.settimeout(0)
        answer = read_answer(lambda: connection.recv(_CHUNK))
    except OSError:
        return None
    return answer if answer.status else None
