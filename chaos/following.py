"""Everything that ever happened to the objects of one namespace, as the API server tells it."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Self

from support.cluster.kube_api import ApiRefusedError, KubeApi, RawObject

_AGAIN_SECONDS = 0.2
_AWAY = (OSError, http.client.HTTPException, ValueError, ApiRefusedError)
"""What an API server looks like that is away, starting, or cut off in the middle of an answer."""

Listener = Callable[[str, RawObject], None]


class Following:
    """Lists and watches a collection until the end, whatever becomes of the API server.

    Attributes:
        objects: every object that ever was, by UID, as it was last.
        present: UIDs of those that are there.
    """

    def __init__(self, api: KubeApi, path: str, listener: Listener) -> None:
        self.objects: dict[str, RawObject] = {}
        self.present: set[str] = set()
        self._api = api
        self._path = path
        self._listener = listener
        self._stopping = False
        self._connection: http.client.HTTPSConnection | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)
        self._thread.join(30)

    def now(self) -> list[RawObject]:
        """Give the objects that are there."""
        return [self.objects[uid] for uid in self.present.copy()]

    def _follow(self) -> None:
        while not self._stopping:
            with contextlib.closing(self._api.connect(timeout=20)) as connection:
                self._connection = connection
                with contextlib.suppress(*_AWAY):
                    version = self._list(connection)
                    self._watch(connection, version)
            if not self._stopping:
                time.sleep(_AGAIN_SECONDS)

    def _list(self, connection: http.client.HTTPSConnection) -> str:
        connection.request("GET", self._path)
        with connection.getresponse() as answer:
            listed = json.loads(answer.read())
        if answer.status != 200:  # it lives again and does not know yet who may do what
            raise ApiRefusedError(answer.status, str(listed))
        seen = {each["metadata"]["uid"]: each for each in listed["items"]}
        for uid in self.present - seen.keys():
            self._take("DELETED", self.objects[uid])
        for each in seen.values():
            self._take("MODIFIED", each)
        return str(listed["metadata"]["resourceVersion"])

    def _watch(self, connection: http.client.HTTPSConnection, version: str) -> None:
        # Short ones: a server that was frozen may not remember that it had one.
        path = f"{self._path}?watch=1&resourceVersion={version}&timeoutSeconds=15"
        while not self._stopping:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                while line := answer.readline():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    self._take(event["type"], event["object"])
            path = f"{self._path}?watch=1&resourceVersion={version}&timeoutSeconds=15"

    def _take(self, kind: str, raw: RawObject) -> None:
        uid = raw["metadata"]["uid"]
        known = self.objects.get(uid)
        if kind == "DELETED":
            self.present.discard(uid)
        elif (
            known is not None
            and uid in self.present
            and known["metadata"]["resourceVersion"] == raw["metadata"]["resourceVersion"]
        ):
            return
        else:
            self.present.add(uid)
        self.objects[uid] = raw
        self._listener(kind, raw)
