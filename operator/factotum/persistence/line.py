"""A kept connection to Consul: what carries the client library's requests, in its own place.

Its own one, by requests and urllib3, takes longer for a request than Consul does: it prepares
sessions, adapters, cookies and encodings, of which nothing is used here.
"""

import http.client
import select
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from consul.base import Response

from factotum.persistence.access import Access, Credentials
from factotum.persistence.errors import StoreUnreachableError

_JSON: Final = {"Content-Type": "application/json"}

Headers = Mapping[str, str] | None
Parameters = Any  # a mapping or pairs, as the library likes


class Line:
    """Sends one request at a time. Has those methods of the library's client that are used here.

    Args:
        host: whom to ask, nobody else: no proxy, no redirection.
        port: where.
        connect_seconds: how long a connection may take.
        read_seconds: how long the other side may be silent.
        credentials: token and certificates; none: neither.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_seconds: float,
        read_seconds: float,
        credentials: Credentials | None = None,
    ) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=connect_seconds)
        self._name = (credentials and credentials.server_name) or host
        self._read_seconds = read_seconds
        self._credentials = credentials or Credentials(Access())

    def get(
        self,
        callback: Callable[[Any], Any],
        path: str,
        params: Parameters = None,
        headers: Headers = None,
    ) -> Any:
        """Ask."""
        return callback(self._ask("GET", path, params, None, headers))

    def put(
        self,
        callback: Callable[[Any], Any],
        path: str,
        params: Parameters = None,
        data: str | bytes = "",
        headers: Headers = None,
    ) -> Any:
        """Write."""
        body = data.encode() if isinstance(data, str) else data
        return callback(self._ask("PUT", path, params, body, headers))

    def _ask(
        self, method: str, path: str, params: Parameters, body: bytes | None, headers: Headers
    ) -> Any:
        target = quote(path, safe="/:") + (f"?{urlencode(params)}" if params else "")
        connection = self._connection
        token = self._credentials.token()
        identity = {"X-Consul-Token": token} if token else {}
        try:
            self._connect()
            form = {} if body is None else _JSON
            connection.request(method, target, body, {**form, **(headers or {}), **identity})
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()  # what comes on it later belongs to no request
            raise
        return Response(answer.status, answer.headers, content.decode("utf-8", "replace"), content)

    def _connect(self) -> None:
        """Have a connection that the other side has not ended meanwhile."""
        connection = self._connection
        if connection.sock is not None and _is_readable(connection.sock):
            connection.close()
        if connection.sock is None:
            context = self._credentials.context()
            connection.connect()
            if context is not None:
                connection.sock = self._secured(connection.sock, context)
            sock: Any = connection.sock
            sock.settimeout(self._read_seconds)

    def _secured(self, sock: Any, context: ssl.SSLContext) -> ssl.SSLSocket:
        try:
            return context.wrap_socket(sock, server_hostname=self._name)
        except ssl.SSLCertVerificationError as error:
            msg = (
                f"Consul's certificate is not trusted: {error.verify_message}"
                " (--consul-ca-file says who vouches for it, --consul-tls-name for which name)"
            )
            raise StoreUnreachableError(msg) from error

    def close(self) -> None:
        """Hang up; whoever asks again connects again."""
        self._connection.close()


def _is_readable(sock: Any) -> bool:
    """Whether something came unasked: the end, mostly."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
