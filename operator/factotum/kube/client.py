"""The few calls we make to the Kubernetes API.

Configuration, authentication and transport are the official client's; bodies
are plain JSON. Failures become the exceptions of ``errors``.
"""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
from kubernetes.aio import client as kube_client
from kubernetes.aio import config as kube_config

from factotum.kube import errors, names

RawObject = dict[str, Any]
"""A Kubernetes object as its JSON says."""

_REQUEST_SECONDS = 30.0
_CREDENTIALS_SECONDS = 10.0
_MERGE_PATCH = "application/merge-patch+json"


class KubeClient:
    """One connection pool to one API server.

    Use as an async context manager, or call ``close``.
    """

    def __init__(self, configuration: kube_client.Configuration) -> None:
        configuration.connection_pool_maxsize = 64
        self._configuration = configuration
        self._api = kube_client.ApiClient(configuration)
        self._known: dict[str, str] = {}
        self._known_until = 0.0

    @classmethod
    async def from_environment(cls) -> Self:
        """Connect as a Pod's service account, else as the kubeconfig says."""
        configuration = kube_client.Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            kube_config.load_incluster_config(client_configuration=configuration)
        else:
            await kube_config.load_kube_config(client_configuration=configuration)
        return cls(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._api.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = "application/json",
        seconds: float = _REQUEST_SECONDS,
    ) -> RawObject:
        """Send one request and return the answer's object.

        Raises:
            KubeError: of the class that fits the answer;
                ``UnreachableError`` when there was none.
        """
        headers = {"Accept": "application/json", "Content-Type": content_type}
        headers |= await self._credentials()
        try:
            response = await self._api.rest_client.request(
                method,
                self._configuration.host + path,
                headers=headers,
                body=body,
                _request_timeout=aiohttp.ClientTimeout(total=seconds),
            )
            payload = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            msg = f"{method} {path}: {str(exc) or type(exc).__name__}"
            raise errors.UnreachableError(msg) from exc
        if response.status == 401:
            self._known_until = 0.0
        answer = _decoded(payload)
        if response.status >= 400:
            message = str(answer.get("message") or payload[:200].decode("utf-8", "replace"))
            raise errors.from_status(response.status, str(answer.get("reason", "")), message)
        return answer

    async def _credentials(self) -> dict[str, str]:
        """Return the headers that say who we are, asked for only now and then.

        The client library asks twice in a thread of its own each time, to see
        whether the token was renewed: two milliseconds of each request.
        """
        now = time.monotonic()
        if now >= self._known_until:
            settings = (await self._configuration.auth_settings()).values()
            self._known = {s["key"]: s["value"] for s in settings if s["in"] == "header"}
            self._known_until = now + _CREDENTIALS_SECONDS
        return self._known

    async def get(self, path: str) -> RawObject:
        """Read one object as it is now."""
        return await self.request("GET", path)

    async def list(self, path: str, query: str = "") -> list[RawObject]:
        """Read a whole list, in chunks."""
        items: list[RawObject] = []
        token = ""
        while True:
            page = await self.request("GET", f"{path}?limit=500{query}{token}")
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return items
            token = f"&continue={more}"

    async def create(self, path: str, body: Mapping[str, Any]) -> RawObject:
        """Create an object."""
        return await self.request("POST", path, body=body)

    async def delete(self, path: str, *, uid: str) -> None:
        """Delete the object of that UID; another one of its name stays."""
        await self.request("DELETE", path, body={"preconditions": {"uid": uid}})

    async def patch_status(
        self, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into a job's status, only if nobody changed it meanwhile.

        Raises:
            ConflictError: the job changed: look again from a live read.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        path = f"{names.job_path(namespace, name)}/status"
        return await self.request("PATCH", path, body=body, content_type=_MERGE_PATCH)


def _decoded(payload: bytes) -> RawObject:
    try:
        answer = json.loads(payload)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
