"""Consul's key-value store, through python-consul2: three calls, off the event loop.

The only module that knows the client library, which has no types and whose
exceptions come from three packages. Blocking calls run in a small thread pool
of their own; a Consul that hangs can hold these threads and nothing else.

Writes are transactions with the verb ``cas``: the same compare-and-set as
``PUT ?cas=``, but the answer carries the new revision, so that the next write of
the entry needs no read before it; and many writes fit into one request. One
that fails is left out and the others are sent again: none depends on another.
"""

import asyncio
import base64
import http.client
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar, cast

import consul

from factotum.core.errors import FactotumError
from factotum.persistence.access import Access, Credentials
from factotum.persistence.batches import Batches
from factotum.persistence.errors import (
    StoreConflictError,
    StoreError,
    StoreFailingError,
    StoreRefusedError,
    StoreUnreachableError,
)
from factotum.persistence.line import Line

_T = TypeVar("_T")

_CONNECT_SECONDS: Final = 1.0
_READ_SECONDS: Final = 2.0
_THREADS: Final = 8
_URGENT_THREADS: Final = 2
_REFUSED: Final = ("400 ", "404 ", "405 ", "413 ")
_STALE: Final = "index is stale"
_DENIED: Final = "ermission denied"
_CONFLICT: Final = "409 "
_WANTS_TLS: Final = "HTTP request to an HTTPS server"


class StoredValue(NamedTuple):
    """A key's value, and the revision that a compare-and-set must name."""

    value: bytes
    revision: int


ABSENT: Final = StoredValue(b"", 0)
"""There is no such key: a compare-and-set with its revision creates one."""


class _Write(NamedTuple):
    path: str
    value: bytes
    revision: int


class Store(Protocol):
    """What the mirror asks of a store; every method may raise a ``StoreError``."""

    async def get(self, path: str) -> StoredValue:
        """Read one key; ``ABSENT`` if there is none."""

    async def put(self, path: str, value: bytes, *, revision: int) -> int:
        """Write one key if its revision still is that one, and return the new one."""

    async def entries(self, prefix: str) -> Mapping[str, StoredValue]:
        """Read every key below a prefix."""

    async def probe(self, path: str) -> int:
        """Ask for a key that nobody writes; return the store's own revision."""


class _KV(Protocol):
    def get(
        self, key: str, *, recurse: bool = False, consistency: str | None = None
    ) -> tuple[str | None, Any]: ...

    def put(self, key: str, value: bytes, *, cas: int) -> bool: ...


class _Txn(Protocol):
    def put(self, payload: list[dict[str, Mapping[str, Any]]]) -> Any: ...


class Client(Protocol):
    """The part of python-consul2's client that is used here."""

    kv: _KV
    txn: _Txn
    http: Line


class ConsulAddressError(FactotumError, ValueError):
    """``--consul-address`` is no address; the message says what one looks like."""


def parse_address(text: str) -> tuple[str, int]:
    """Read ``host:port``; the port may be left out.

    Raises:
        ConsulAddressError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "8500"
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        msg = f"--consul-address {text!r}: expected HOST:PORT, e.g. consul.consul.svc:8500"
        raise ConsulAddressError(msg)
    return host, int(port)


def _connect(host: str, port: int, credentials: Credentials) -> Client:
    with warnings.catch_warnings():
        # Each client warns of Consul's old ACL calls, which it has and we do not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        client = consul.Consul(host, port)
    # The library lets CONSUL_HTTP_ADDR overrule the address that it was given, and keeps the
    # token of its start. Ours were chosen.
    client.token = None
    client.http = Line(
        host,
        port,
        connect_seconds=_CONNECT_SECONDS,
        read_seconds=_READ_SECONDS,
        credentials=credentials,
    )
    return cast("Client", client)


class ConsulStore:
    """One Consul agent. Use as an async context manager, or call ``close``.

    Args:
        address: host:port.
        access: how Consul lets us in.
        may_write: called in a pool thread right before each write; what it raises ends it.
    """

    def __init__(
        self,
        address: str,
        access: Access | None = None,
        *,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._host, self._port = parse_address(address)
        credentials = Credentials(access or Access())
        self._may_write = may_write
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consul")
        # A session that waited behind ten thousand writes would be over before it is renewed.
        self._urgent = ThreadPoolExecutor(_URGENT_THREADS, thread_name_prefix="consul-urgent")
        # Made here, since silencing a warning concerns all threads; each is used by one at a time.
        self._clients: SimpleQueue[Client] = SimpleQueue()
        self._is_closed = False
        for _ in range(_THREADS + _URGENT_THREADS):
            self._clients.put(_connect(self._host, self._port, credentials))
        self._reads = Batches(self._get_all)
        self._writes = Batches(self._put_all, weigh=lambda write: len(write.value))
        self.address: Final = f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads end; one that waits for Consul does not hold up the caller."""
        self._is_closed = True
        for threads in (self._threads, self._urgent):
            threads.shutdown(wait=False, cancel_futures=True)
        with suppress(Empty):
            while True:
                self._clients.get_nowait().http.close()

    async def get(self, path: str) -> StoredValue:
        """Read one key; ``ABSENT`` if there is none."""
        return await self._reads.ask(path)

    async def put(self, path: str, value: bytes, *, revision: int) -> int:
        """Write one key if its revision still is that one, and return the new one."""
        return await self._writes.ask(_Write(path, value, revision))

    async def swap(self, path: str, value: bytes, *, revision: int) -> None:
        """Write one key if its revision still is that one: a request of its own, as plain as any.

        Old agents and what stands between may not know transactions.

        Raises:
            StoreConflictError: it is not.
        """

        def call(client: Client) -> bool:
            self._may_write()
            return bool(client.kv.put(path, value, cas=revision))

        if not await self.ask(call):
            raise StoreConflictError(f"{path} has changed")

    async def entries(self, prefix: str) -> Mapping[str, StoredValue]:
        """Read every key below a prefix."""
        _, items = await self.ask(lambda client: client.kv.get(f"{prefix}/", recurse=True))
        return {item["Key"]: _stored(item) for item in items or ()}

    async def probe(self, path: str) -> int:
        """Ask for a key that nobody writes; return the store's own revision."""
        revision, _ = await self.ask(lambda client: client.kv.get(path))
        return int(revision or 0)

    async def transact(
        self, operations: Sequence[Mapping[str, Any]], *, is_urgent: bool = False
    ) -> list[Mapping[str, Any]]:
        """Do operations on keys together or not at all; return an item for each key concerned.

        Args:
            is_urgent: whether it must not wait behind others (see ``ask``).

        Raises:
            StoreConflictError: a condition among them does not hold.
        """
        try:
            return await self._transact(operations, before=self._may_write, is_urgent=is_urgent)
        except _TransactionError as exc:
            for failure in exc.failures.values():
                if isinstance(failure, StoreUnreachableError):
                    raise failure from exc  # forbidden
            raise

    async def _get_all(self, paths: Sequence[str]) -> Sequence[StoredValue]:
        if len(paths) == 1:
            _, item = await self.ask(lambda client: client.kv.get(paths[0]))
            return [ABSENT if item is None else _stored(item)]
        # The verb "get" would fail for a key that is not there.
        reads = [{"Verb": "get-tree", "Key": path} for path in dict.fromkeys(paths)]
        items = {item["Key"]: item for item in await self._transact(reads)}
        return [_decoded(items[path]) if path in items else ABSENT for path in paths]

    async def _put_all(self, writes: Sequence[_Write]) -> Sequence[int | StoreError]:
        answers: dict[int, int | StoreError] = {}
        while left := [number for number in range(len(writes)) if number not in answers]:
            try:
                operations = [_operation(writes[number]) for number in left]
                items = await self._transact(operations, before=self._may_write)
            except _TransactionError as exc:
                answers |= {left[place]: error for place, error in exc.failures.items()}
                continue
            if len(items) != len(left):
                msg = f"Consul at {self.address}: {len(items)} results for {len(left)} writes"
                raise StoreUnreachableError(msg)
            for number, item in zip(left, items, strict=True):
                answers[number] = item["ModifyIndex"]
        return [answers[number] for number in range(len(writes))]

    async def _transact(
        self,
        operations: Sequence[Mapping[str, Any]],
        *,
        before: Callable[[], None] = lambda: None,
        is_urgent: bool = False,
    ) -> list[Mapping[str, Any]]:
        """Do operations together or not at all; return one item for each key concerned."""
        request = [{"KV": operation} for operation in operations]

        def call(client: Client) -> list[Mapping[str, Any]]:
            before()
            return [each["KV"] for each in client.txn.put(request)["Results"] or ()]

        return await self.ask(call, is_urgent=is_urgent)

    async def ask(self, call: Callable[[Client], _T], *, is_urgent: bool = False) -> _T:
        """Make one request off the event loop; for ``persistence`` alone.

        Args:
            call: the request.
            is_urgent: whether it is one of the few that wait behind no others.
        """
        loop = asyncio.get_running_loop()
        threads = self._urgent if is_urgent else self._threads
        return await loop.run_in_executor(threads, self._blocking, call)

    def _blocking(self, call: Callable[[Client], _T]) -> _T:
        """Make one request in a pool thread; each client keeps its own connection."""
        client = self._clients.get_nowait()
        try:
            return call(client)
        except consul.base.ClientError as exc:
            text = str(exc)
            if text.startswith(_CONFLICT):
                raise _TransactionError(text) from exc
            if text.startswith(_REFUSED):
                raise StoreRefusedError(f"Consul at {self.address}: {text}") from exc
            raise StoreUnreachableError(f"Consul at {self.address}: {text}") from exc
        except (consul.base.BadRequest, consul.base.NotFound) as exc:
            if _WANTS_TLS in str(exc):
                msg = f"Consul at {self.address} wants TLS there (--consul-tls)"
                raise StoreUnreachableError(msg) from exc
            raise StoreRefusedError(f"Consul at {self.address}: {exc}") from exc
        except consul.ConsulException as exc:
            raise StoreFailingError(f"Consul at {self.address}: {exc}") from exc
        except (
            http.client.HTTPException,
            OSError,
            ValueError,  # an answer that is no JSON: whoever listens there is no Consul
            KeyError,
            TypeError,
        ) as exc:
            msg = f"Consul at {self.address}: {str(exc) or type(exc).__name__}"
            raise StoreUnreachableError(msg) from exc
        finally:
            if self._is_closed:
                client.http.close()
            self._clients.put(client)


class _TransactionError(StoreConflictError):
    """A transaction did not happen: which of its operations would not do, and why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            told = json.loads(text.removeprefix(_CONFLICT))["Errors"]
            self.failures = {int(each["OpIndex"]): _failure(str(each["What"])) for each in told}
        except (ValueError, KeyError, TypeError) as exc:
            raise StoreUnreachableError(text) from exc
        if not self.failures:
            raise StoreUnreachableError(text)


def _failure(reason: str) -> StoreError:
    if reason.endswith(_STALE):
        return StoreConflictError(reason)
    if _DENIED in reason:  # as for every other request: a token may be put right
        return StoreUnreachableError(reason)
    return StoreRefusedError(reason)


def _operation(write: _Write) -> dict[str, Any]:
    value = base64.b64encode(write.value).decode()
    return {"Verb": "cas", "Key": write.path, "Value": value, "Index": write.revision}


def _stored(item: Mapping[str, Any]) -> StoredValue:
    return StoredValue(item["Value"] or b"", int(item["ModifyIndex"]))


def _decoded(item: Mapping[str, Any]) -> StoredValue:
    """Read an item of a transaction, whose values the library leaves as they came."""
    return StoredValue(base64.b64decode(item["Value"] or ""), int(item["ModifyIndex"]))
