"""Requests to the controller: one connection, kept, made again when lost.

Every answer but the controller's own word counts as "not reachable": what
that means, the caller knows.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from factotum.pod.surroundings import Surroundings


class UnreachableError(Exception):
    """No answer; the text says why."""


class Reply(NamedTuple):
    """An HTTP answer of the controller."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """The reason that a refusal gives."""
        return str(self.body.get("error", ""))


class ControllerLink:
    """A connection to the controller, for one thread at a time."""

    def __init__(self, surroundings: Surroundings) -> None:
        parts = urllib.parse.urlsplit(surroundings.operator_url)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._token_file = surroundings.token_file
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, *, seconds: float) -> Reply:
        """Send one request and wait so long for its answer.

        Raises:
            UnreachableError: there was none, or not of the controller.
        """
        # A kept connection may have been closed meanwhile by the other side:
        # that alone says nothing, so it is tried once more on a new one.
        fresh = self._connection is None
        try:
            return self._post(path, body, seconds)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            if fresh or isinstance(exc, TimeoutError):
                msg = f"{self._host}:{self._port}: {str(exc) or type(exc).__name__}"
                raise UnreachableError(msg) from exc
        return self.post(path, body, seconds=seconds)

    def _post(self, path: str, body: bytes, seconds: float) -> Reply:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)
        # The kubelet renews the token, so it is read each time.
        with open(self._token_file, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs start-up
            token = file.read().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection.request("POST", self._prefix + path, body, headers)
        response = self._connection.getresponse()
        payload = response.read()
        decoded = json.loads(payload) if payload else {}
        return Reply(response.status, decoded if isinstance(decoded, dict) else {})

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
