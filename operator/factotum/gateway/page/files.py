"""Gives browsers the page's files: read once, nothing of a request leads to a path."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from factotum.gateway.original.requests import Receive, Scope, Send, headers_of

_ASSETS: Final = Path(__file__).parent / "assets"
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, in no frame, and no text ever becomes a script."""


class _File(NamedTuple):
    data: bytes
    kind: str
    tag: str


class PageFiles:
    """Serves ``/ui``; what browsers are told with every answer, the front adds."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(_ASSETS.rglob("*")):
            if path.suffix in _KINDS:
                data = path.read_bytes()
                tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
                self._files[f"/ui/{path.relative_to(_ASSETS).as_posix()}"] = _File(
                    data, _KINDS[path.suffix], tag
                )
        self._files["/ui"] = self._files["/ui/"] = self._files["/ui/index.html"]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with a file, if there is one of this name."""
        headers = [
            (b"content-security-policy", POLICY.encode()),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cache-control", b"no-cache"),
        ]
        file = self._files.get(scope["path"])
        status, body = 200, b""
        if scope["method"] not in ("GET", "HEAD"):
            status = 405
            headers.append((b"allow", b"GET, HEAD"))
        elif file is None:
            status = 404
        elif headers_of(scope).get("if-none-match") == file.tag:
            status = 304
        else:
            body = file.data
        if file is not None:
            headers += [(b"content-type", file.kind.encode()), (b"etag", file.tag.encode())]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )
