"""Consul's key-value store, through python-consul2: three calls, off the event loop.

The only module that knows the client library, which has no types and whose
exceptions come from three packages. Blocking calls run in a small thread pool
of their own; a Consul that hangs can hold these threads and nothing else.

Writes are one-operation transactions with the verb ``cas``: the same
compare-and-set as ``PUT ?cas=``, but the answer carries the new revision, so that
the next write of the entry needs no read before it.
"""

import asyncio
import base64
import json
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar, cast

import consul
import requests

from factotum.persistence.errors import (
    StoreConflictError,
    StoreRefusedError,
    StoreUnreachableError,
)

_T = TypeVar("_T")

_CONNECT_SECONDS: Final = 1.0
_READ_SECONDS: Final = 3.0
_THREADS: Final = 8
_REFUSED: Final = ("400 ", "404 ", "405 ", "413 ")
_CONFLICT: Final = "409 "


class StoredValue(NamedTuple):
    """A key's value, and the revision that a compare-and-set must name."""

    value: bytes
    revision: int


ABSENT: Final = StoredValue(b"", 0)
"""There is no such key: a compare-and-set with its revision creates one."""


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
    def get(self, key: str, *, recurse: bool = False) -> tuple[str | None, Any]: ...


class _Txn(Protocol):
    def put(self, payload: list[dict[str, dict[str, Any]]]) -> Any: ...


class _Client(Protocol):
    """The part of python-consul2's client that is used here."""

    kv: _KV
    txn: _Txn


class ConsulAddressError(ValueError):
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


def _connect(host: str, port: int) -> _Client:
    with warnings.catch_warnings():
        # Each client warns of Consul's old ACL calls, which it has and we do not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        client = consul.Consul(host, port, timeout=(_CONNECT_SECONDS, _READ_SECONDS))
    # The library lets CONSUL_HTTP_ADDR overrule the address that it was given. Ours was chosen.
    client.http.base_uri = f"{client.http.scheme}://{host}:{port}"
    # Neither proxies nor ~/.netrc: looking for them costs more than the request.
    client.http.session.trust_env = False
    return cast("_Client", client)


class ConsulStore:
    """One Consul agent. Use as an async context manager, or call ``close``."""

    def __init__(self, address: str) -> None:
        self._host, self._port = parse_address(address)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consul")
        # Made here, since silencing a warning concerns all threads; each is used by one at a time.
        self._clients: SimpleQueue[_Client] = SimpleQueue()
        for _ in range(_THREADS):
            self._clients.put(_connect(self._host, self._port))
        self.address: Final = f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads end; one that waits for Consul does not hold up the caller."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(self, path: str) -> StoredValue:
        """Read one key; ``ABSENT`` if there is none."""
        _, item = await self._ask(lambda client: client.kv.get(path))
        return ABSENT if item is None else _stored(item)

    async def put(self, path: str, value: bytes, *, revision: int) -> int:
        """Write one key if its revision still is that one, and return the new one."""
        write = {
            "Verb": "cas",
            "Key": path,
            "Value": base64.b64encode(value).decode(),
            "Index": revision,
        }
        answer = await self._ask(lambda client: client.txn.put([{"KV": write}]))
        return int(answer["Results"][0]["KV"]["ModifyIndex"])

    async def entries(self, prefix: str) -> Mapping[str, StoredValue]:
        """Read every key below a prefix."""
        _, items = await self._ask(lambda client: client.kv.get(f"{prefix}/", recurse=True))
        return {item["Key"]: _stored(item) for item in items or ()}

    async def probe(self, path: str) -> int:
        """Ask for a key that nobody writes; return the store's own revision."""
        revision, _ = await self._ask(lambda client: client.kv.get(path))
        return int(revision or 0)

    async def _ask(self, call: Callable[[_Client], _T]) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._blocking, call)

    def _blocking(self, call: Callable[[_Client], _T]) -> _T:
        """Make one request in a pool thread; each client keeps its own connection."""
        client = self._clients.get_nowait()
        try:
            return call(client)
        except consul.base.ClientError as exc:
            text = str(exc)
            if text.startswith(_CONFLICT):
                raise StoreConflictError(_conflict(text)) from exc
            if text.startswith(_REFUSED):
                raise StoreRefusedError(f"Consul at {self.address}: {text}") from exc
            raise StoreUnreachableError(f"Consul at {self.address}: {text}") from exc
        except (consul.base.BadRequest, consul.base.NotFound) as exc:
            raise StoreRefusedError(f"Consul at {self.address}: {exc}") from exc
        except (
            consul.ConsulException,
            requests.RequestException,
            OSError,
            ValueError,  # an answer that is no JSON: whoever listens there is no Consul
            KeyError,
            TypeError,
        ) as exc:
            msg = f"Consul at {self.address}: {exc or type(exc).__name__}"
            raise StoreUnreachableError(msg) from exc
        finally:
            self._clients.put(client)


def _stored(item: Mapping[str, Any]) -> StoredValue:
    return StoredValue(item["Value"] or b"", int(item["ModifyIndex"]))


def _conflict(text: str) -> str:
    """Take the reason out of a refused transaction's answer."""
    try:
        failures = json.loads(text.removeprefix(_CONFLICT))["Errors"]
        return str(failures[0]["What"])
    except (ValueError, KeyError, TypeError, IndexError):
        return text
