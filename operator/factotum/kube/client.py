"""The Kubernetes API over HTTP.

Configuration and authentication are the official client's. The transport is a
session of our own: the library's looks for proxies and ``~/.netrc`` and
copies headers at each request, which is a third of what a job costs here.
"""

import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
import yarl
from kubernetes.aio import client as kube_client
from kubernetes.aio import config as kube_config

from factotum.kube import errors, paths
from factotum.kube.api import Page, RawObject, WatchEvent
from factotum.kube.paths import Path

_REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
_CREDENTIALS_SECONDS: Final = 10.0
_CONNECTIONS: Final = 128
_CHUNK: Final = 500
_MERGE_PATCH: Final = "application/merge-patch+json"
# Answers come from next door: to pack and unpack them costs more than to send them.
_HEADERS: Final = {"Accept-Encoding": "identity"}
_JSON: Final = "application/json"
_STRICT: Final = {"fieldValidation": "Strict"}
_KEY_SET: Final = "application/jwk-set+json"
_METADATA_LIST: Final = f"{_JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_MAX_LINE: Final = 4 * 1024 * 1024
"""The longest line of a watch, bytes: an object has at most 1.5 MiB in etcd."""


class KubeClient:
    """One connection pool to one API server. Implements ``KubeApi`` and ``PodLogs``.

    Use as an async context manager, or call ``close``.
    """

    def __init__(self, configuration: kube_client.Configuration) -> None:
        self._configuration = configuration
        self._host = str(configuration.host).rstrip("/")
        self._proxy = configuration.proxy or _proxy_for(self._host)
        self._session: aiohttp.ClientSession | None = None
        self._known: dict[str, str] = {}
        self._known_until = 0.0

    @classmethod
    async def from_environment(cls) -> Self:
        """Connect as a Pod's service account, else as the kubeconfig says."""
        import os

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
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        # Made at the first request: a session belongs to a running event loop.
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=_CONNECTIONS, ssl=_tls(self._configuration), ttl_dns_cache=30
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
            )
        return self._session

    def _request(
        self,
        method: str,
        path: Path,
        headers: Mapping[str, str],
        body: object,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        return self._connected().request(
            method,
            # The path is quoted already; to quote it again would make it another one.
            yarl.URL(self._host + path, encoded=True),
            headers=headers,
            data=None if body is None else orjson.dumps(body),
            timeout=timeout,
            proxy=self._proxy,
            allow_redirects=False,
        )

    async def request(
        self,
        method: str,
        path: Path,
        *,
        body: object = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> RawObject:
        """Send one request and return the answer's object.

        Raises:
            KubeError: of the class that fits the answer;
                ``UnreachableError`` when there was none.
        """
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS)
        try:
            headers = {"Content-Type": content_type, "Accept": accept}
            headers |= await self._credentials()
            async with self._request(method, path, headers, body, timeout) as response:
                payload = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _no_answer(method, path, exc) from exc
        if response.status >= 300:
            raise self._failure(response.status, payload)
        answer = _decoded(payload)
        if answer is None:
            raise errors.UnreachableError(f"{method} {path}: the answer is no JSON object")
        return answer

    def _failure(self, status: int, payload: bytes) -> errors.KubeError:
        if status == 401:
            self._known_until = 0.0
        answer = _decoded(payload) or {}
        message = str(answer.get("message") or payload[:200].decode("utf-8", "replace"))
        return errors.from_status(status, str(answer.get("reason", "")), message, _fields(answer))

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

    async def get(self, path: Path) -> RawObject:
        """Read one object as it is now."""
        accept = _KEY_SET if path == paths.OPENID_KEYS else _JSON
        return await self.request("GET", path, accept=accept)

    async def pages(
        self, path: Path, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        """Read a whole list in chunks."""
        accept = _METADATA_LIST if only_metadata else _JSON
        token = ""
        while True:
            query: dict[str, str | int] = {
                "limit": _CHUNK,
                "labelSelector": selector,
                "continue": token,
            }
            page = await self.request("GET", paths.with_query(path, query), accept=accept)
            metadata = page.get("metadata") or {}
            yield Page(page.get("items") or [], str(metadata.get("resourceVersion", "")))
            token = str(metadata.get("continue") or "")
            if not token:
                return

    async def watch(
        self,
        path: Path,
        *,
        selector: str = "",
        fields: str = "",
        resource_version: str,
        seconds: int,
    ) -> AsyncIterator[WatchEvent]:
        """Watch a list; ends when the server closes the watch."""
        query: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": seconds,
            "labelSelector": selector,
            "fieldSelector": fields,
        }
        full = paths.with_query(path, query)
        # The server sends a bookmark each minute: a connection that says less is dead.
        timeout = aiohttp.ClientTimeout(
            total=seconds + 30.0, sock_connect=_CONNECT_SECONDS, sock_read=seconds + 15.0
        )
        try:
            headers = await self._credentials()
            async with self._request("GET", full, headers, None, timeout) as response:
                if response.status >= 300:
                    raise self._failure(response.status, await response.read())
                async for line in _lines(response.content):
                    yield self._event(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _no_answer("WATCH", path, exc) from exc

    async def log(self, path: Path) -> AsyncIterator[bytes]:
        """Read a log in pieces; one that is followed may be silent for as long as it likes."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        try:
            headers = {"Accept": "*/*"} | await self._credentials()
            async with self._request("GET", path, headers, None, timeout) as response:
                if response.status >= 300:
                    raise self._failure(response.status, await response.read())
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _no_answer("GET", path, exc) from exc

    def _event(self, line: bytes) -> WatchEvent:
        event = _decoded(line)
        if event is None or not isinstance(event.get("object"), dict):
            raise errors.UnreachableError("a line of the watch is no event")
        raw = event["object"]
        if event.get("type") == "ERROR":
            raise errors.from_status(
                int(raw.get("code") or 500),
                str(raw.get("reason", "")),
                str(raw.get("message", "the watch failed")),
            )
        return WatchEvent(str(event.get("type", "")), raw)

    async def create(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Create an object as it stands: what the server does not know it refuses."""
        return await self.request("POST", paths.with_query(path, _STRICT), body=body)

    async def replace(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Replace an object, only if nobody changed it meanwhile."""
        return await self.request("PUT", path, body=body)

    async def delete(self, path: Path, *, uid: str, resource_version: str = "") -> None:
        """Delete the object of that UID; another one of its name stays."""
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        await self.request("DELETE", path, body={"preconditions": preconditions})

    async def merge(self, path: Path, body: Mapping[str, Any]) -> RawObject:
        """Merge into an object."""
        return await self.request("PATCH", path, body=body, content_type=_MERGE_PATCH)

    async def patch_status(
        self, path: Path, status: Mapping[str, Any], *, resource_version: str
    ) -> RawObject:
        """Merge into a status, only if nobody changed the object meanwhile."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return await self.request(
            "PATCH", paths.status_of(path), body=body, content_type=_MERGE_PATCH
        )


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream at its line ends; the library's own limit is 128 KiB a line."""
    parts: list[bytes] = []
    length = 0
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            whole = b"".join((*parts, line))
            parts, length = [], 0
            if whole:
                yield whole
        if rest:
            parts.append(rest)
            length += len(rest)
        if length > _MAX_LINE:
            raise errors.UnreachableError("a line of the watch does not end")


def _no_answer(method: str, path: Path, exc: Exception) -> errors.UnreachableError:
    return errors.UnreachableError(f"{method} {path}: {str(exc) or type(exc).__name__}")


def _decoded(payload: bytes) -> RawObject | None:
    try:
        answer = orjson.loads(payload)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _fields(answer: RawObject) -> tuple[str, ...]:
    """Return the fields that a validation's answer names."""
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    named = (c.get("field") for c in causes if isinstance(c, dict)) if causes else ()
    return tuple(field for field in named if isinstance(field, str) and field)


def _tls(configuration: kube_client.Configuration) -> ssl.SSLContext | bool:
    if not str(configuration.host).startswith("https:"):
        return True
    context = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy_for(host: str) -> str | None:
    """Return the proxy that the environment asks for, found out once instead of at each request."""
    parts = urlsplit(host)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
