"""What Consul knows of who lives, and changes of several keys that happen together or not at all.

Beside ``consul``, whose threads and connections it uses. Must not know whose
sessions these are, nor what the keys mean.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from factotum.persistence.consul import Client, ConsulStore
from factotum.persistence.errors import StoreUnreachableError

Operation = Mapping[str, Any]

_LOCK_DELAY: Final = "1ms"
"""0 would mean Consul's default of 15 s; who may take a lock next is told by revisions here."""


class Held(NamedTuple):
    """A key's value and revision, and the session that holds it; empty: none."""

    value: bytes
    revision: int
    session: str


class Sessions:
    """Sessions, locks and transactions of one Consul.

    Args:
        store: Consul.
    """

    def __init__(self, store: ConsulStore) -> None:
        self._store = store

    async def create(self, name: str, ttl_seconds: float) -> str:
        """Begin a session and return its id.

        Args:
            name: for people who look at Consul's sessions.
            ttl_seconds: it lives that long after each renewal at least, and twice as long at most.

        Raises:
            StoreError: it could not be begun.
        """
        # No checks: the agent's own health would end it after moments of trouble, whatever its TTL.
        times = {"TTL": f"{ttl_seconds:g}s", "LockDelay": _LOCK_DELAY}
        how = {"Name": name, "Behavior": "release", "Checks": [], "NodeChecks": []}
        body = json.dumps(how | times)
        answer = await self._store.ask(
            lambda client: _answer(client, "/v1/session/create", body, allow_missing=False),
            is_urgent=True,
        )
        return str(answer["ID"])

    async def renew(self, session: str) -> bool:
        """Let a session live on; False: there is no such session any more."""
        path = f"/v1/session/renew/{session}"
        call = self._store.ask(lambda client: _answer(client, path, ""), is_urgent=True)
        return await call is not None

    async def tree(self, prefix: str) -> dict[str, Held]:
        """Read every key below a prefix, as all of Consul's servers agree it is now."""
        _, items = await self._store.ask(
            lambda client: client.kv.get(f"{prefix}/", recurse=True, consistency="consistent"),
            is_urgent=True,
        )
        return {
            item["Key"]: Held(
                item["Value"] or b"", int(item["ModifyIndex"]), item.get("Session") or ""
            )
            for item in items or ()
        }

    async def transact(self, *operations: Operation, is_urgent: bool = False) -> dict[str, int]:
        """Do operations together or not at all; return the revisions of the keys concerned.

        Args:
            operations: conditions and changes.
            is_urgent: whether they must not wait behind others.

        Raises:
            StoreConflictError: a condition among them does not hold.
        """
        items = await self._store.transact(operations, is_urgent=is_urgent)
        return {item["Key"]: int(item["ModifyIndex"]) for item in items}


def _answer(client: Client, path: str, body: str, *, allow_missing: bool = True) -> Any:
    def read(response: Any) -> Any:
        if response.code == 404 and allow_missing:
            return None
        if response.code != 200:
            # Sessions may be forbidden where keys are not: told like any other refusal.
            raise StoreUnreachableError(f"{path}: {response.code} {response.body.strip():.200}")
        return json.loads(response.body)

    return client.http.put(read, path, data=body)


def swap(path: str, value: bytes, revision: int) -> Operation:
    """Write a key that still has a revision; 0: that is not there."""
    return {"Verb": "cas", "Key": path, "Value": _encoded(value), "Index": revision}


def put(path: str, value: bytes) -> Operation:
    """Write a key whatever is there."""
    return {"Verb": "set", "Key": path, "Value": _encoded(value)}


def unchanged(path: str, revision: int) -> Operation:
    """Make sure that a key still has a revision; 0: that it is not there."""
    if not revision:
        return {"Verb": "check-not-exists", "Key": path}
    return {"Verb": "check-index", "Key": path, "Index": revision}


def removed(path: str, revision: int) -> tuple[Operation, Operation]:
    """Remove a key that still has a revision.

    To remove by compare-and-set alone succeeds also where there is no such key.
    """
    return unchanged(path, revision), {"Verb": "delete-cas", "Key": path, "Index": revision}


def deleted(path: str) -> Operation:
    """Remove a key, if it is there."""
    return {"Verb": "delete", "Key": path}


def locked(path: str, value: bytes, session: str) -> Operation:
    """Write a key and hold it; it must be free, or held by this session."""
    return {"Verb": "lock", "Key": path, "Value": _encoded(value), "Session": session}


def holds(path: str, session: str) -> Operation:
    """Make sure that a session holds a key."""
    return {"Verb": "check-session", "Key": path, "Session": session}


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
