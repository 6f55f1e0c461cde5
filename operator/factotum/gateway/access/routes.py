"""What a caller must be allowed to do, by the request that he makes of v1. Pure.

Whatever is not named here and changes something needs the right to change jobs;
what only looks, the right to read them: nothing is left open by being forgotten.
"""

from typing import Final

from factotum.gateway.access.protocol import Deed

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOKS: Final = frozenset({"/v1/server", "/v1/openapi.json", "/metrics"})
_SUBMITS: Final = frozenset({"/v1/jobs", "/v1/check"})
_SHOWS: Final = {"/v1/jobs": Deed.LIST, "/v1/events": Deed.WATCH}


def deed_of(method: str, path: str) -> Deed:
    """Return what a request does.

    Args:
        path: decoded, as the application is given it.
    """
    path = path.rstrip("/")
    if method not in _SAFE:
        return Deed.SUBMIT if path in _SUBMITS else Deed.CHANGE
    if path in _LOOKS:
        return Deed.LOOK
    if path in _SHOWS:
        return _SHOWS[path]
    if not path.startswith("/v1/jobs/"):
        return Deed.GET
    parts = path.split("/")[4:]
    if parts[:1] == ["log"]:
        return Deed.READ_LOG
    return Deed.WATCH if parts[:1] == ["events"] else Deed.GET
