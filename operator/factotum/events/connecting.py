"""Connect to a name that has several addresses, of which some may lead nowhere.

The addresses are tried in their order: the next one as soon as one fails, or when one has
been silent for a moment, since a black hole tells no error. The first connection that
stands is taken. So each address is tried within the time limit, in one thread.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time

from factotum.events.answers import SHORTAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
    """As `socket.getaddrinfo` gives it."""

LONGEST_WAIT = 2_000_000.0
"""Seconds; the system's calls count milliseconds in 32 bits, and what is above wraps around."""

_HEAD_START = 0.25
"""Seconds that an address has for itself before the next one is tried as well."""


class Race:
    """The attempts to connect for one request, until one of them succeeds.

    Made and used by one thread; only `abort` may be called by another.

    Args:
        addresses: where to connect to, the best one first.
        deadline: when to give up, by the monotonic clock.
    """

    def __init__(self, addresses: Sequence[Address], deadline: float) -> None:
        self._waiting = list(addresses)
        self._deadline = deadline
        left = max(deadline - time.monotonic(), 0.0)
        # All have begun after half of the time: the last one needs some, too.
        self._head_start = min(_HEAD_START, left / 2 / max(len(addresses), 1))
        self._next_at = 0.0
        self._poller = select.poll()
        self._pending: dict[int, tuple[socket.socket, Address]] = {}
        self._failure: OSError = ConnectionError("the name resolves to no address")
        self._aborted = False

    def run(self) -> tuple[socket.socket, Address]:
        """Return a connection, not blocking yet, and its address.

        Raises:
            OSError: No address took a connection; the error is that of the last one.
        """
        try:
            while (winner := self._step()) is None:
                pass
            return winner
        finally:
            while self._pending:
                self._drop(next(iter(self._pending)))

    def abort(self) -> None:
        """Let `run` fail at once."""
        self._aborted = True
        for connection, _ in list(self._pending.values()):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed in this moment

    def _step(self) -> tuple[socket.socket, Address] | None:
        now = time.monotonic()
        if self._aborted or now >= self._deadline:
            raise TimeoutError
        if self._waiting and (not self._pending or now >= self._next_at):
            self._next_at = now + self._head_start
            return self._begin(self._waiting.pop(0))
        if not self._pending:
            raise self._failure
        until = min(self._deadline, self._next_at) if self._waiting else self._deadline
        return self._wait(until - now)

    def _begin(self, address: Address) -> tuple[socket.socket, Address] | None:
        family, kind, protocol, _, place = address
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            self._give_way(address, error)
            return None
        connection.setblocking(False)
        code = connection.connect_ex(place)
        if code == 0:
            return connection, address
        if code == errno.EINPROGRESS:
            self._pending[connection.fileno()] = connection, address
            self._poller.register(connection, select.POLLOUT)
        else:
            connection.close()
            self._failure = OSError(code, os.strerror(code))
        return None

    def _give_way(self, address: Address, error: OSError) -> None:
        """Without a descriptor for another attempt, the oldest one makes room."""
        if error.errno in SHORTAGES and self._pending:
            self._drop(next(iter(self._pending)))
            self._waiting.insert(0, address)
            self._next_at = 0.0
        else:
            self._failure = error

    def _wait(self, seconds: float) -> tuple[socket.socket, Address] | None:
        for fd, _ in self._poller.poll(int(min(seconds, LONGEST_WAIT) * 1000) + 1):
            connection, address = self._pending[fd]
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0 and not self._aborted:
                del self._pending[fd]
                return connection, address
            self._failure = OSError(code, os.strerror(code))
            self._drop(fd)
            self._next_at = 0.0
        return None

    def _drop(self, fd: int) -> None:
        connection, _ = self._pending.pop(fd)
        self._poller.unregister(fd)
        connection.close()
