"""The few API requests the tool makes itself, over the standard library's HTTP client."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from local_cluster.errors import ClusterError

# What a server that is not there yet, or was stopped half-way through an answer, looks like.
UNREACHABLE = (OSError, http.client.HTTPException)


class Api:
    """The API server of one cluster, as its administrator."""

    def __init__(self, port: int, certificates: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        self._tls.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")

    def request(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Send one request; give status and parsed answer (text where it is no JSON)."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._tls, timeout=10
        )
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(text) if is_json else text

    def is_ok(self, path: str) -> bool:
        """Tell whether a GET answers 200; a server that is not there yet says no."""
        try:
            return self.request("GET", path)[0] == 200
        except UNREACHABLE:
            return False

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object; one that is there already is left alone."""
        status, answer = self.request("POST", path, body)
        if status not in (201, 409):
            raise ClusterError(
                f"the API server refused {body['kind']} {body['metadata']['name']}: "
                f"{status} {answer}"
            )

    def apply(self, path: str, body: dict[str, Any]) -> None:
        """Apply an object server-side: created or brought level, in one request."""
        status, answer = self.request(
            "PATCH",
            f"{path}?fieldManager=local-cluster&force=true",
            body,
            kind="application/apply-patch+yaml",
        )
        if status not in (200, 201):
            raise ClusterError(f"the API server refused {path}: {status} {answer}")
