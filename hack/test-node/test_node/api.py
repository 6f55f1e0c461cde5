"""The API requests of a kubelet: a small client on aiohttp, apart from the operator's own.

Apart on purpose: a fault in the operator's client must not be hidden by the test node having
the same one.
"""

import base64
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import yaml

RawObject = dict[str, Any]


class ApiError(Exception):
    """The API server's refusal."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def _named(entries: list[RawObject], name: str, kind: str) -> RawObject:
    return next(dict(entry[kind]) for entry in entries if entry["name"] == name)


def _embedded(entry: Mapping[str, Any], key: str, scratch: Path) -> str | None:
    if f"{key}-data" in entry:
        path = scratch / key
        path.write_bytes(base64.b64decode(entry[f"{key}-data"]))
        return str(path)
    return entry.get(key)


def read_kubeconfig(path: Path) -> tuple[str, ssl.SSLContext, dict[str, str]]:
    """Give server, TLS context and headers of a kubeconfig's current context."""
    raw = yaml.safe_load(path.read_text())
    context = _named(raw["contexts"], raw["current-context"], "context")
    cluster = _named(raw["clusters"], context["cluster"], "cluster")
    user = _named(raw["users"], context["user"], "user")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tls = ssl.create_default_context(
            cafile=_embedded(cluster, "certificate-authority", scratch)
        )
        certificate = _embedded(user, "client-certificate", scratch)
        if certificate is not None:
            tls.load_cert_chain(certificate, _embedded(user, "client-key", scratch))
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return cluster["server"], tls, headers


class Api:
    """One API server; use as an async context manager."""

    def __init__(self, kubeconfig: Path, *, connections: int = 0) -> None:
        """Prepare; `connections` bounds how many requests run at once, 0 does not.

        Watches are not among them: each fake node holds one open.
        """
        self._server, tls, headers = read_kubeconfig(kubeconfig)
        self._requests, self._watches = (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, limit=limit), headers=headers
            )
            for limit in (connections, 0)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._requests.close()
        await self._watches.close()

    async def request(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json"
    ) -> RawObject:
        """Send one request and give the answer's object."""
        async with self._requests.request(
            method,
            self._server + path,
            data=None if body is None else orjson.dumps(body),
            headers={"Content-Type": kind},
            timeout=aiohttp.ClientTimeout(total=30),
        ) as answer:
            payload: RawObject = orjson.loads(await answer.read())
            if answer.status >= 400:
                raise ApiError(answer.status, str(payload.get("message")))
            return payload

    async def watch(self, path: str, query: str, version: str) -> AsyncIterator[RawObject]:
        """Give the events of a watch until the server ends it."""
        url = f"{self._server}{path}?watch=1&{query}&resourceVersion={version}&timeoutSeconds=300"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with self._watches.get(url, timeout=timeout, read_bufsize=1 << 22) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, await answer.text())
            async for line in answer.content:
                yield orjson.loads(line)
